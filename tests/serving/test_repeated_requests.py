"""Requests that are sent again, and those that are refused for their time."""

import contextlib
import threading
import time

import pytest
import requests

from nucseg.serving.service import build_queue
from task_requests import post, refused


@pytest.fixture
def data(draw_nuclei, encode) -> bytes:
    return encode(draw_nuclei((60, 60), 4, seed=1)[0], "tiff")


def test_what_was_refused_for_its_time_is_not_done(serve, data, monkeypatch, wait, tmp_path) -> None:
    server = serve(request_timeout=0.5)
    queue, release = server.service.queue, threading.Event()
    put = queue.storage.put_stream

    def slow(*given) -> None:
        release.wait(60)
        put(*given)

    with monkeypatch.context() as patch:
        patch.setattr(queue.storage, "put_stream", slow)
        for _ in range(3):
            refused(post(server, data), 503, "longer")
        release.set()
        wait(lambda: queue.table.counts() == {})
    wait(lambda: not [path for path in (tmp_path / "files").iterdir() if path.is_dir()])
    assert queue.table.claim(60) is None


def test_one_that_was_queued_at_that_moment_is_not_done_either(settings, data) -> None:
    import io

    from nucseg.serving.jobs.queue import Submission

    queue, submission = build_queue(settings()), Submission()
    queue.submit(io.BytesIO(data), model=None, threshold=None, submission=submission)
    queue.withdraw(submission)
    assert queue.table.claim(60) is None
    assert queue.table.counts() == {}


def test_a_request_with_a_key_is_done_once(serve, make_worker, data, encode, draw_nuclei) -> None:
    server = serve()
    key = {"Idempotency-Key": "mine"}
    first, second = post(server, data, **key), post(server, data, **key)
    assert first.status_code == second.status_code == 201
    assert first.headers["location"] == second.headers["location"]
    assert post(server, data).headers["location"] != first.headers["location"]
    other = encode(draw_nuclei((60, 60), 4, seed=2)[0], "tiff")
    assert post(server, other, **key).status_code == 409
    of_mask = {"params": {"formats": "mask"}, "headers": {"Content-Type": "image/tiff", **key}}
    assert server.post("/tasks", data=data, **of_mask).status_code == 409
    worker = make_worker()
    assert [worker.run_one() for _ in range(3)] == [True, True, False]
    assert post(server, data, **key).json()["status"] == "FINISHED"
    requests.delete(server.url + first.headers["location"], timeout=60)
    again = post(server, data, **key)  # it is not done any more
    assert again.status_code == 201
    assert again.headers["location"] != first.headers["location"]


def test_a_key_of_a_refused_request_can_be_used_again(serve, data, monkeypatch, wait) -> None:
    server = serve(request_timeout=0.5)
    queue, key = server.service.queue, {"Idempotency-Key": "mine"}
    with monkeypatch.context() as patch:
        patch.setattr(queue.storage, "put_stream", lambda *_: time.sleep(1.5))
        refused(post(server, data, **key), 503, "longer")
        refused(post(server, data, **key), 503, "")
    wait(lambda: queue.table.counts() == {})
    assert post(server, data, **key).status_code == 201


def test_many_requests_with_one_key_make_one_task(settings, data, database) -> None:
    import io

    queue = build_queue(settings(database=database))
    ids: list[str] = []

    def submit() -> None:
        with contextlib.suppress(Exception):
            ids.append(queue.submit(io.BytesIO(data), model=None, threshold=None, key="mine"))

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 1
    assert queue.table.counts() == {"QUEUED": 1}
