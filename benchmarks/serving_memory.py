"""Measure the memory of `nucseg serve` and its worker at their limits, with the default model.

Two images of `NUCSEG_MAX_PIXELS` are predicted at once while a task runs, one size of task after another. `nucseg.yaml`
limits the sum over all processes.
"""

import argparse
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import imagecodecs
import numpy as np
import psutil
import requests
import tifffile
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

COMMAND = [sys.executable, "-c", "from nucseg.cli import main; main()", "serve"]
TILE = 512


def tile() -> NDArray[np.uint8]:
    """Return bright spots of the size of nuclei, in colours."""
    generator = np.random.default_rng(0)
    spots = gaussian_filter((generator.random((TILE, TILE)) > 0.998).astype(np.float32), 6)
    grey = np.clip(spots / spots.max() * 255, 0, 255).astype(np.uint8)
    return np.dstack([grey] * 3)


def png(side: int) -> bytes:
    """Return a PNG of these spots, as is predicted at once."""
    times = side // TILE + 1
    return imagecodecs.png_encode(np.tile(tile(), (times, times, 1))[:side, :side], level=1)


def tiff(side: int) -> bytes:
    """Return a TIFF of these spots in tiles, as large images are best sent."""
    stream = io.BytesIO()
    tiles = [tile()] * (-(-side // TILE)) ** 2
    shape, size = (side, side, 3), (TILE, TILE)
    tifffile.imwrite(stream, iter(tiles), shape=shape, dtype=np.uint8, tile=size, photometric="rgb", compression="zlib")
    return stream.getvalue()


@contextmanager
def peaks_of(pid: int) -> Iterator[dict[str, int]]:
    """Watch the memory of a server and its children; yield the highest bytes of each kind and of all together."""
    peaks: dict[str, int] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            now: dict[str, int] = {}
            for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
                try:
                    command = " ".join(process.cmdline())
                    kind = "server" if process.pid == pid else "worker" if "worker" in command else "decoding"
                    now[kind] = now.get(kind, 0) + process.memory_full_info().pss
                except psutil.Error:
                    continue
            now["all"] = sum(now.values())
            for kind, size in now.items():
                peaks[kind] = max(peaks.get(kind, 0), size)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        done.set()
        watcher.join()


def work(url: str, upload: bytes, task: bytes) -> str:
    """Predict an upload twice at once while a task runs; return the outcomes."""
    headers = {"Content-Type": "image/tiff"}
    place = requests.post(f"{url}/tasks", data=task, headers=headers, timeout=600).headers["location"]
    answers = []

    def predict() -> None:
        answers.append(requests.post(f"{url}/model/predict", files={"image": ("a", upload)}, timeout=3000).status_code)

    clients = [threading.Thread(target=predict) for _ in range(2)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    while (state := requests.get(url + place, timeout=600).json())["status"] not in ("FINISHED", "FAILED"):
        time.sleep(1)
    requests.delete(url + place, timeout=600)
    return f"predicted {answers}, task {state['status']}: {state['nuclei']} nuclei {state['error'] or ''}"


def main() -> None:
    """Print the highest memory of each process and of all together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096, help="rows and columns of the images predicted at once")
    parser.add_argument("--task-sides", type=int, nargs="+", default=[4096], help="rows and columns of the tasks")
    options = parser.parse_args()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        variables = {"DATABASE": f"sqlite:///{folder}/t.sqlite", "STORAGE": f"{folder}/files"}
        variables["REQUEST_TIMEOUT"] = "3000"
        environment = {**os.environ, **{f"NUCSEG_{name}": value for name, value in variables.items()}}
        server = subprocess.Popen([*COMMAND, "--port", str(port)], env=environment)
        try:
            while True:
                try:
                    if requests.get(f"{url}/health/ready", timeout=5).ok:
                        break
                except requests.RequestException:
                    pass
                time.sleep(0.5)
            with peaks_of(server.pid) as peaks:
                time.sleep(1)
            print("ready:", {kind: f"{size >> 20} MB" for kind, size in peaks.items()}, flush=True)
            upload = png(options.side)
            for side in options.task_sides:
                started = time.monotonic()
                with peaks_of(server.pid) as peaks:
                    done = work(url, upload, tiff(side))
                print(
                    f"2 x {options.side}^2 x 3 at once, task {side}^2 x 3: {time.monotonic() - started:.0f} s, {done}"
                )
                print({kind: f"{size >> 20} MB" for kind, size in peaks.items()}, flush=True)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
