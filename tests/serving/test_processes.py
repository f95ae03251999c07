"""Servers and workers as real processes that are killed, stopped and started again."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import requests

TIFF = {"Content-Type": "image/tiff"}


@pytest.fixture
def image(draw_nuclei):
    return draw_nuclei((64, 96), 6, seed=2)[0]


def send(server, data: bytes) -> str:
    answer = requests.post(f"{server.url}/tasks", data=data, headers=TIFF, timeout=60)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def state(server, task: str) -> dict:
    return requests.get(f"{server.url}/tasks/{task}", timeout=60).json()


def mask(server, task: str):
    answer = requests.get(f"{server.url}/masks/{task}", timeout=60)
    assert answer.status_code == 200, answer.text
    return imagecodecs.png_decode(answer.content)


def test_a_killed_workers_task_runs_again_and_nothing_is_lost(
    processes, database, image, encode, wait, fake, tmp_path
) -> None:
    """kill -9 of a worker in the middle of a task, with others waiting behind it, and of the server, too."""
    processes.environment["NUCSEG_DATABASE"] = database
    server = processes.server()
    first = processes.worker(FAKE_SECONDS="60")
    tasks = [send(server, encode(image, "tiff")) for _ in range(4)]
    wait(lambda: state(server, tasks[0])["status"] == "PROCESSING", first)
    first.kill()
    assert state(server, tasks[0])["status"] == "PROCESSING"  # nobody knows yet
    others = [processes.worker(), processes.worker()]
    wait(lambda: all(state(server, task)["status"] == "FINISHED" for task in tasks))
    expected = 255 * (fake.Predictor().predict(image).labels > 0)
    for task in tasks:
        np.testing.assert_array_equal(mask(server, task), expected)
    assert state(server, tasks[0])["attempts"] > 1
    # The upload and one result of each are left, whoever worked on it.
    wait(lambda: all(len(list((tmp_path / "files" / task).iterdir())) == 2 for task in tasks))

    server.kill()
    server = processes.server()
    np.testing.assert_array_equal(mask(server, tasks[0]), expected)
    assert [worker.stop() for worker in others] == [0, 0]


def test_a_task_that_kills_every_worker_fails_and_the_others_do_not(processes, image, encode, wait) -> None:
    """The server's own worker is started again after each death."""
    deadly = np.zeros((8, 77), np.uint8)
    server = processes.server(NUCSEG_WORKERS="1", FAKE_DEADLY="77", NUCSEG_LEASE="0.5", NUCSEG_MAX_ATTEMPTS="2")
    tasks = [send(server, encode(each, "tiff")) for each in (deadly, image)]
    wait(lambda: state(server, tasks[0])["status"] == "FAILED", server)
    assert "on each of 2 attempts" in state(server, tasks[0])["error"]
    wait(lambda: state(server, tasks[1])["status"] == "FINISHED", server)
    assert server.says("Another") or server.says("another one is started")
    assert server.stop() == 0


def test_a_worker_returns_its_task_when_it_is_asked_to_stop(processes, image, encode, wait) -> None:
    server = processes.server()
    worker = processes.worker(FAKE_SECONDS="600", FAKE_TILES="6000")
    task = send(server, encode(image, "tiff"))
    wait(lambda: state(server, task)["progress"] > 0, worker)
    assert worker.stop() == 0
    given_back = state(server, task)
    assert (given_back["status"], given_back["attempts"]) == ("QUEUED", 0)
    processes.worker()
    wait(lambda: state(server, task)["status"] == "FINISHED")
    assert state(server, task)["attempts"] == 1


@pytest.mark.slow
def test_restarts_of_the_server_are_no_tries(processes, image, encode, wait) -> None:
    """A task that reports nothing for longer than the shutdown may take, and more restarts than tries."""
    hidden = {"NUCSEG_WORKERS": "1", "NUCSEG_SHUTDOWN_TIMEOUT": "2", "NUCSEG_MAX_ATTEMPTS": "1"}
    server = processes.server(FAKE_TASK_SECONDS="600", **hidden)
    task = send(server, encode(image, "tiff"))
    for _ in range(2):
        wait(lambda server=server: state(server, task)["status"] == "PROCESSING", server)
        assert server.stop() == 0
        server = processes.server(FAKE_TASK_SECONDS="600", **hidden)
        assert state(server, task)["attempts"] <= 1
    server.stop()
    server = processes.server(**hidden)
    wait(lambda: state(server, task)["status"] == "FINISHED", server)
    assert state(server, task)["attempts"] == 1


def test_a_worker_stops_when_its_task_is_deleted(processes, image, encode, wait, tmp_path) -> None:
    server = processes.server()
    worker = processes.worker(FAKE_SECONDS="600", FAKE_TILES="6000")
    tasks = [send(server, encode(image, "tiff")) for _ in range(2)]
    wait(lambda: state(server, tasks[0])["status"] == "PROCESSING", worker)
    assert requests.delete(f"{server.url}/tasks/{tasks[0]}", timeout=60).status_code == 204
    wait(lambda: state(server, tasks[1])["status"] == "PROCESSING", worker)
    assert not (tmp_path / "files" / tasks[0]).exists()


def test_what_a_killed_worker_left_in_the_temporary_folder_is_removed(
    processes, image, encode, wait, tmp_path_factory
) -> None:
    temporary = tmp_path_factory.mktemp("t")  # short: Python's sockets between processes lie in it
    processes.environment["TMPDIR"] = str(temporary)
    server = processes.server()
    worker = processes.worker(FAKE_SECONDS="600")
    task = send(server, encode(image, "tiff"))

    def left() -> list[Path]:
        return list(temporary.glob("nucseg-*/upload"))

    wait(left, worker)
    worker.kill()
    assert left()
    processes.worker()
    wait(lambda: state(server, task)["status"] == "FINISHED")
    wait(lambda: not list(temporary.glob("nucseg-*")))


def test_a_server_finishes_pending_requests_when_it_is_asked_to_stop(processes, image, encode, wait) -> None:
    import threading

    server = processes.server(FAKE_SECONDS="1.5")
    answers = []

    def ask() -> None:
        files = {"image": ("a", encode(image))}
        answers.append(requests.post(f"{server.url}/model/predict", files=files, timeout=60))

    asking = threading.Thread(target=ask)
    asking.start()
    running = "nucseg_predictions_running 1.0"
    wait(lambda: running in requests.get(f"{server.url}/metrics", timeout=60).text, server)
    assert server.stop() == 0
    asking.join()
    assert answers[0].status_code == 200
    assert answers[0].json()["predictions"]


def test_workers_end_with_the_server_that_started_them(processes, wait) -> None:
    import os

    server = processes.server(NUCSEG_WORKERS="1")
    wait(lambda: server.says("Waiting for tasks"), server)
    children = [int(each) for each in _children(server.popen.pid)]
    assert len(children) == 1
    server.kill()

    def gone() -> bool:
        try:
            os.kill(children[0], 0)
        except ProcessLookupError:
            return True
        return Path(f"/proc/{children[0]}/stat").read_text().split()[2] == "Z"

    wait(gone)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split() or [
        line.parent.name for line in Path("/proc").glob("[0-9]*/status") if f"PPid:\t{pid}\n" in line.read_text()
    ]


def test_workers_and_server_share_a_bucket(processes, aws, image, encode, wait, monkeypatch) -> None:
    """Uploads and results in S3, as several machines need it."""
    import boto3

    keys = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": aws,
    }
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="nucseg-tasks")
    processes.environment |= {**keys, "NUCSEG_STORAGE": "s3://nucseg-tasks/some/where"}
    server, worker = processes.server(), processes.worker()
    task = send(server, encode(image, "tiff"))
    wait(lambda: state(server, task)["status"] == "FINISHED", worker)
    assert mask(server, task).any()

    def keys_of_tasks():
        listed = boto3.client("s3").list_objects_v2(Bucket="nucseg-tasks")["Contents"]
        return {each["Key"] for each in listed} - {"some/where/.nucseg"}

    assert all(key.startswith(f"some/where/{task}/") for key in keys_of_tasks())
    assert requests.delete(f"{server.url}/tasks/{task}", timeout=60).status_code == 204
    assert not keys_of_tasks()
