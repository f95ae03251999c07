"""Many requests at once: health answers meanwhile, and memory stays as it is. `benchmarks/serving.py` measures."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import requests


def resident(process) -> int:
    """Return the resident memory of a process, in MB."""
    for line in Path(f"/proc/{process.popen.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    raise AssertionError("the process is gone")


@pytest.mark.slow
def test_memory_is_flat_and_health_answers(processes, draw_nuclei, encode) -> None:
    server = processes.server()
    image = encode(draw_nuclei((256, 256), 30, seed=1)[0])
    health, failures = [], []
    done = threading.Event()

    def ask(requests_each: int) -> None:
        with requests.Session() as session:
            for _ in range(requests_each):
                answer = session.post(f"{server.url}/model/predict", files={"image": ("a", image)}, timeout=120)
                if answer.status_code != 200:
                    failures.append(answer.text)

    def load(requests_each: int) -> None:
        clients = [threading.Thread(target=ask, args=(requests_each,)) for _ in range(8)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()

    def watch() -> None:
        while not done.wait(0.05):
            started = time.monotonic()
            assert requests.get(f"{server.url}/health/live", timeout=60).ok
            health.append(time.monotonic() - started)

    load(10)
    before = resident(server)
    watching = threading.Thread(target=watch)
    watching.start()
    load(25)
    done.set()
    watching.join()
    assert failures == []
    assert resident(server) - before < 40
    assert resident(server) < 2000
    assert np.median(health) < 0.5
