"""Measure the memory of `nucseg serve` and its worker at the limits of what they take, with the default model.

Two images of `NUCSEG_MAX_PIXELS` are predicted at once while a task of the same size runs; the sum over all processes
is what `nucseg.yaml` bounds.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

import imagecodecs
import numpy as np
import psutil
import requests
from scipy.ndimage import gaussian_filter

COMMAND = [sys.executable, "-c", "from nucseg.cli import main; main()", "serve"]


def image(side: int) -> bytes:
    """Draw bright spots of the size of nuclei, in colours."""
    generator = np.random.default_rng(0)
    tile = gaussian_filter((generator.random((512, 512)) > 0.998).astype(np.float32), 6)
    tile = np.clip(tile / tile.max() * 255, 0, 255).astype(np.uint8)
    grey = np.tile(tile, (side // 512 + 1, side // 512 + 1))[:side, :side]
    return imagecodecs.png_encode(np.dstack([grey] * 3), level=1)


def main() -> None:  # noqa: PLR0915 - one run from start to end
    """Print the highest memory of each process and of all together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096, help="rows and columns of the images")
    side = parser.parse_args().side
    upload = image(side)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    peaks: dict[str, int] = {}
    done = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        variables = {"DATABASE": f"sqlite:///{folder}/t.sqlite", "STORAGE": f"{folder}/files"}
        variables["REQUEST_TIMEOUT"] = "3000"
        environment = {**os.environ, **{f"NUCSEG_{name}": value for name, value in variables.items()}}
        server = subprocess.Popen([*COMMAND, "--port", str(port)], env=environment)

        def watch() -> None:
            while not done.wait(0.2):
                now = {}
                for process in [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]:
                    try:
                        command = " ".join(process.cmdline())
                        other = "worker" if "worker" in command else "decoding"
                        kind = "server" if process.pid == server.pid else other
                        now[kind] = now.get(kind, 0) + process.memory_full_info().pss
                    except psutil.Error:
                        continue
                now["all"] = sum(now.values())
                for kind, size in now.items():
                    peaks[kind] = max(peaks.get(kind, 0), size)

        try:
            while True:
                try:
                    if requests.get(f"{url}/health/ready", timeout=5).ok:
                        break
                except requests.RequestException:
                    pass
                time.sleep(0.5)
            watcher = threading.Thread(target=watch)
            watcher.start()
            time.sleep(1)
            print("ready:", {kind: f"{size >> 20} MB" for kind, size in peaks.items()}, flush=True)
            task = requests.post(f"{url}/tasks", data=upload, headers={"Content-Type": "image/png"}, timeout=600)
            place = task.headers["location"]

            def predict() -> None:
                answer = requests.post(f"{url}/model/predict", files={"image": ("a", upload)}, timeout=3000)
                print("predict:", answer.status_code, len(answer.content), flush=True)

            clients = [threading.Thread(target=predict) for _ in range(2)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            while (state := requests.get(url + place, timeout=600).json())["status"] not in ("FINISHED", "FAILED"):
                time.sleep(1)
            print("task:", state["status"], state["nuclei"], "nuclei")
            print(f"{side} x {side} x 3:", {kind: f"{size >> 20} MB" for kind, size in peaks.items()})
        finally:
            done.set()
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
