"""The worker in this process: failures, deletions, lost leases."""

import threading
import time

import numpy as np
import pytest
import requests
from sqlalchemy import select

from nucseg.serving.jobs.schema import jobs
from nucseg.serving.worker import worker as worker_module

TIFF = {"Content-Type": "image/tiff"}


@pytest.fixture
def server(serve):
    return serve()


@pytest.fixture
def task(server, draw_nuclei, encode) -> str:
    data = encode(draw_nuclei((60, 60), 4, seed=1)[0], "tiff")
    return server.post("/tasks", data=data, headers=TIFF).json()["id"]


class Failing:
    """Fails some times, then finds nothing."""

    def __init__(self, times: int) -> None:
        self.times = times

    def predict_source(self, source, options, *, progress):
        from mosaics import mosaic_of
        from nucseg.core.types import Instances

        self.times -= 1
        if self.times >= 0:
            raise RuntimeError("/secret/path is full")
        return mosaic_of(Instances.none(source.shape[:2]))


def test_there_is_nothing_to_do(make_worker) -> None:
    assert not make_worker().run_one()


def test_a_failure_is_tried_again(server, make_worker, task) -> None:
    worker = make_worker(Failing(2))
    for _ in range(3):
        assert worker.run_one()
    body = server.get(f"/tasks/{task}").json()
    assert (body["status"], body["attempts"], body["nuclei"]) == ("FINISHED", 3, 0)


def test_an_image_that_takes_more_memory_than_there_is_fails_at_once(server, make_worker, task) -> None:
    class Large:
        def predict_source(self, source, options, **_):
            np.zeros(2**62, np.uint8)

    assert make_worker(Large()).run_one()
    body = server.get(f"/tasks/{task}").json()
    assert (body["status"], body["attempts"]) == ("FAILED", 1)
    assert body["error"] == "image: needs more memory to predict than is available. Crop it."


def test_it_gives_up_with_a_reason_that_reveals_no_secret(server, make_worker, task) -> None:
    worker = make_worker(Failing(9))
    while worker.run_one():
        pass
    body = server.get(f"/tasks/{task}").json()
    assert (body["status"], body["attempts"]) == ("FAILED", 3)
    assert body["error"]
    assert "secret" not in body["error"]


def test_the_pause_between_tries_grows(server, make_worker, task) -> None:
    worker = make_worker(Failing(9), retry_delay=0.4)
    started = time.monotonic()
    while server.get(f"/tasks/{task}").json()["status"] != "FAILED":
        worker.run_one()
        time.sleep(0.05)
    assert time.monotonic() - started > 0.4 + 0.8


class Busy:
    """Lets the test do something while it predicts."""

    def __init__(self, meanwhile) -> None:
        self.meanwhile = meanwhile

    def predict_source(self, source, options, *, progress):
        from mosaics import mosaic_of
        from nucseg.core.types import Instances

        progress(0.5)
        self.meanwhile()
        return mosaic_of(Instances.none(source.shape[:2]))


def test_a_task_deleted_meanwhile_leaves_nothing(server, make_worker, task, tmp_path) -> None:
    def delete() -> None:
        assert requests.delete(f"{server.url}/tasks/{task}", timeout=10).status_code == 204

    make_worker(Busy(delete)).run_one()
    assert server.get(f"/tasks/{task}").status_code == 404
    assert [path.name for path in (tmp_path / "files").rglob("*")] == [".nucseg"]


def test_an_upload_that_is_gone_fails(server, make_worker, task, tmp_path) -> None:
    (tmp_path / "files" / task / "upload").unlink()
    make_worker().run_one()
    body = server.get(f"/tasks/{task}").json()
    assert (body["status"], body["error"]) == ("FAILED", "The upload is missing.")


def test_a_heartbeat_keeps_a_long_task(server, make_worker, task, monkeypatch, wait) -> None:
    """The lease grows while the task is processed, and others find nothing to do."""
    monkeypatch.setattr(worker_module, "_BEAT_SECONDS", 0.2)
    others, seen = [], []

    def lease_until() -> float:
        with server.service.queue.table._transactions.reading() as connection:
            return connection.scalar(select(jobs.c.lease_until))

    def wait_for_beats() -> None:
        first = lease_until()
        wait(lambda: lease_until() > first + 0.3)
        seen.append(server.get(f"/tasks/{task}").json()["status"])
        others.append(make_worker(lease=60).run_one())

    make_worker(Busy(wait_for_beats), lease=60).run_one()
    assert (others, seen) == ([False], ["PROCESSING"])
    body = server.get(f"/tasks/{task}").json()
    assert (body["status"], body["attempts"]) == ("FINISHED", 1)


def test_one_that_lost_its_lease_publishes_nothing(server, make_worker, task, tmp_path) -> None:
    """The first worker is held up longer than its lease, without a heartbeat; the second one's result counts."""
    queue = server.service.queue
    stolen = []

    def steal() -> None:
        time.sleep(0.3)
        stolen.append(queue.table.claim(60))

    worker = make_worker(Busy(steal), lease=0.2)
    worker._extend = lambda task, progress: None  # the machine sleeps
    worker.run_one()
    assert server.get(f"/tasks/{task}").json()["status"] == "PROCESSING"
    assert [path.name for path in (tmp_path / "files" / task).iterdir()] == ["upload"]
    assert queue.table.finish(stolen[0], result="right", nuclei=1)


def test_it_continues_when_the_database_was_away(server, make_worker, task, monkeypatch, wait) -> None:
    worker = make_worker(lease=1)
    claim, failures = worker._queue.table.claim, []

    def sometimes(lease):
        if len(failures) < 2:
            failures.append(1)
            raise OSError("away")
        return claim(lease)

    monkeypatch.setattr(worker._queue.table, "claim", sometimes)
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        wait(lambda: server.get(f"/tasks/{task}").json()["status"] == "FINISHED")
    finally:
        stop.set()
        thread.join()
    assert len(failures) == 2
