"""Two servers and three workers on PostgreSQL and an S3 server, as `deploy/several-machines` runs them."""

import signal
import threading
import uuid

import imagecodecs
import numpy as np
import psycopg
import pytest
import requests

TIFF = {"Content-Type": "image/tiff"}
TASKS = 24

pytestmark = pytest.mark.slow


@pytest.fixture
def machines(processes, postgres, bucket):
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(f"{postgres}postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    processes.environment |= {**bucket.environment, "NUCSEG_DATABASE": f"{postgres}{name}", "NUCSEG_LEASE": "4"}
    return processes


@pytest.fixture
def image(draw_nuclei):
    return draw_nuclei((64, 96), 6, seed=2)[0]


def send(server, data: bytes) -> str | None:
    try:
        answer = requests.post(f"{server.url}/tasks", data=data, headers=TIFF, timeout=60)
    except requests.ConnectionError:
        return None
    return answer.json()["id"] if answer.status_code == 201 else None


def state(server, task: str) -> dict:
    return requests.get(f"{server.url}/tasks/{task}", timeout=60).json()


def test_one_of_each_is_killed_and_nothing_is_lost(machines, bucket, image, encode, wait, fake) -> None:
    servers = [machines.server() for _ in range(2)]
    workers = [machines.worker(FAKE_TASK_SECONDS="0.3", FAKE_TILES="3") for _ in range(3)]
    data = encode(image, "tiff")
    tasks: list[str] = []

    def accepted(count: int) -> None:
        """Send to whichever server answers, as a client behind a balancer does."""
        while len(tasks) < count:
            tasks.extend(filter(None, [send(servers[len(tasks) % 2], data) or send(servers[1], data)]))

    accepted(TASKS // 3)
    wait(lambda: any(state(servers[1], task)["status"] == "PROCESSING" for task in tasks))
    workers[0].kill()
    servers[0].kill()
    accepted(2 * TASKS // 3)
    bucket.kill()
    wait(lambda: requests.get(f"{servers[1].url}/health/ready", timeout=60).status_code == 503)
    assert send(servers[1], data) is None
    bucket.start()
    wait(lambda: requests.get(f"{servers[1].url}/health/ready", timeout=60).status_code == 200)
    accepted(TASKS)
    wait(lambda: all(state(servers[1], task)["status"] in ("FINISHED", "FAILED") for task in tasks), servers[1])
    expected = 255 * (fake.Predictor().predict(image).labels > 0)
    for task in tasks:
        done = state(servers[1], task)
        assert (done["status"], done["error"]) == ("FINISHED", None)
        mask = requests.get(f"{servers[1].url}/masks/{task}", timeout=60)
        np.testing.assert_array_equal(imagecodecs.png_decode(mask.content), expected)
    # Nobody did a task twice but those of the killed worker, and none of the refused ones is there.
    assert sum(state(servers[1], task)["attempts"] - 1 for task in tasks) <= 1
    with psycopg.connect(machines.environment["NUCSEG_DATABASE"]) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM nucseg_tasks WHERE state = 'FINISHED'").fetchone()
    assert rows == len(tasks) == TASKS
    for task in tasks:
        assert requests.delete(f"{servers[1].url}/tasks/{task}", timeout=60).status_code == 204
    wait(lambda: bucket.keys() == ["tasks/.nucseg"])
    assert servers[1].stop() == 0
    assert [worker.stop() for worker in workers[1:]] == [0, 0]
    assert not any(process.says("Traceback") for process in (servers[1], *workers[1:]))


def test_a_wrong_secret_is_reported_and_a_frozen_bucket_holds_up_nothing_else(
    machines, bucket, image, encode, wait
) -> None:
    server = machines.server(wait_for="/ping", AWS_SECRET_ACCESS_KEY="wrong")
    assert requests.get(f"{server.url}/health/ready", timeout=60).status_code == 503
    assert send(server, encode(image, "tiff")) is None
    assert server.says("Not ready: the storage")
    assert server.says("SignatureDoesNotMatch") or server.says("PermissionError"), server.log.read_text()
    server.kill()
    server = machines.server(NUCSEG_BACKEND_TIMEOUT="2")
    worker = machines.worker()
    task = send(server, encode(image, "tiff"))
    wait(lambda: state(server, task)["status"] == "FINISHED", worker)
    bucket.popen.send_signal(signal.SIGSTOP)
    answers = []

    def ask() -> None:
        answers.append(requests.get(f"{server.url}/masks/{task}", timeout=120).status_code)

    threads = [threading.Thread(target=ask) for _ in range(45)]
    try:
        for thread in threads:
            thread.start()
        for path in ("/health/live", "/models", "/metrics", f"/tasks/{task}"):
            assert requests.get(f"{server.url}{path}", timeout=60).status_code == 200
        wait(lambda: requests.get(f"{server.url}/health/ready", timeout=60).status_code == 503)
        assert send(server, encode(image, "tiff")) is None
        for thread in threads:
            thread.join()
        assert set(answers) == {503}
    finally:
        bucket.popen.send_signal(signal.SIGCONT)
    wait(lambda: requests.get(f"{server.url}/health/ready", timeout=60).status_code == 200)
    wait(lambda: requests.get(f"{server.url}/masks/{task}", timeout=60).status_code == 200)
