"""Measure how long a worker with the default model takes to leave a long task: after SIGTERM, and after DELETE."""

import argparse
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable

import requests
from serving_memory import COMMAND, tiff

WORKER = [*COMMAND[:-1], "worker"]


def until(condition: Callable[[], bool]) -> float:
    """Wait until a condition holds, and return how many seconds that took."""
    started = time.monotonic()
    while not condition():
        time.sleep(0.05)
    return time.monotonic() - started


def main() -> None:
    """Print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096, help="rows and columns of the task's image")
    parser.add_argument("--times", type=int, default=3, help="how often it is measured")
    options = parser.parse_args()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    long, short = tiff(options.side), tiff(64)

    def responds() -> bool:
        try:
            return requests.get(f"{url}/health/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def send(upload: bytes) -> str:
        headers = {"Content-Type": "image/tiff"}
        return url + requests.post(f"{url}/tasks", data=upload, headers=headers, timeout=600).headers["location"]

    def state(place: str) -> dict[str, object]:
        return requests.get(place, timeout=600).json()

    def under_way(place: str) -> bool:
        return float(str(state(place)["progress"])) > 0

    with tempfile.TemporaryDirectory() as folder:
        variables = {"DATABASE": f"sqlite:///{folder}/t.sqlite", "STORAGE": f"{folder}/files", "WORKERS": "0"}
        environment = {**os.environ, **{f"NUCSEG_{name}": value for name, value in variables.items()}}
        server = subprocess.Popen([*COMMAND, "--port", str(port)], env=environment)
        worker = subprocess.Popen(WORKER, env=environment)
        try:
            until(responds)
            for _ in range(options.times):
                task = send(long)
                until(lambda task=task: under_way(task))
                worker.terminate()
                given_back = until(lambda task=task: state(task)["status"] == "QUEUED")
                ended = given_back + until(lambda worker=worker: worker.poll() is not None)
                tries = state(task)["attempts"]
                print(f"SIGTERM: given back after {given_back:.1f} s with {tries} tries, ended after {ended:.1f} s")
                worker = subprocess.Popen(WORKER, env=environment)
                until(lambda task=task: under_way(task))
                following = send(short)
                requests.delete(task, timeout=600)
                free = until(lambda following=following: state(following)["status"] != "QUEUED")
                print(f"DELETE: the next task began after {free:.1f} s", flush=True)
                until(lambda following=following: state(following)["status"] == "FINISHED")
        finally:
            for process in (worker, server):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
