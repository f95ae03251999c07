"""A task table that is gone, replaced, locked or frozen."""

import os
import shutil
import signal
import sqlite3
import threading
import time
import uuid
from pathlib import Path

import psutil
import pytest

from nucseg.serving.errors import UnavailableError
from nucseg.serving.service import build_queue
from task_requests import HEALTHY, post, ready, refused, state


@pytest.fixture
def data(draw_nuclei, encode) -> bytes:
    return encode(draw_nuclei((60, 60), 4, seed=1)[0], "tiff")


def test_reading_waits_for_no_writer_and_writing_not_for_long(serve, data, tmp_path, caplog, wait) -> None:
    """Another process holds SQLite's lock for as long as it likes: what waited for it would never be answered."""
    server = serve(backend_timeout=8)
    task = post(server, data).json()["id"]
    answers: list[int] = []
    locker = sqlite3.connect(tmp_path / "tasks.sqlite", isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    readers = [
        threading.Thread(target=lambda: answers.append(server.get(f"/tasks/{task}").status_code)) for _ in range(60)
    ]
    writers = [threading.Thread(target=lambda: answers.append(post(server, data).status_code)) for _ in range(20)]
    for thread in readers + writers:
        thread.start()
    assert all(server.get(path).status_code == 200 for path in HEALTHY)
    wait(lambda: ready(server) == 503)  # a check of before the lock counts for a second
    refused(server.get("/health/ready"), 503, "task table")
    for thread in readers + writers:
        thread.join()
    assert set(answers) <= {200, 503}
    assert answers.count(200) >= 50  # a busy machine may take longer than two seconds for some
    assert "Traceback" not in caplog.text
    locker.execute("ROLLBACK")
    time.sleep(1.1)
    assert post(server, data).status_code == 201


def test_a_database_file_that_is_gone_or_another_one_is_reported(serve, data, tmp_path, caplog) -> None:
    server = serve()
    task = post(server, data).json()["id"]
    file, kept = tmp_path / "tasks.sqlite", tmp_path / "kept"
    server.service.queue.table._transactions.engine.dispose()  # that everything lies in the one file
    file.rename(kept)
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    time.sleep(1.1)
    assert ready(server) == 503
    refused(server.get(f"/tasks/{task}"), 503, "task table")
    assert not file.exists()
    assert "is missing; restore it" in caplog.text
    shutil.copy(kept, file)
    time.sleep(1.1)
    assert ready(server) == 200
    assert server.get(f"/tasks/{task}").status_code == 200
    os.replace(kept, file)  # while it is used
    time.sleep(1.1)
    assert ready(server) == 200
    assert "was replaced or is missing" in caplog.text


def test_a_table_of_an_earlier_version_gets_the_new_columns(settings, tmp_path) -> None:
    from nucseg.serving.jobs import schema

    old = sqlite3.connect(tmp_path / "tasks.sqlite")
    new = {"given_back", "request_key", "request_digest", "formats"}
    columns = [f"{each.name} {each.type.compile()}" for each in schema.jobs.columns if each.name not in new]
    old.execute(f"CREATE TABLE nucseg_tasks ({', '.join(columns)})")
    old.execute("INSERT INTO nucseg_tasks (id, state, attempts, created, not_before) VALUES ('a', 'QUEUED', 0, 1, 1)")
    old.commit()
    old.close()
    task = build_queue(settings()).table.claim(60)
    assert (task.id, task.given_back) == ("a", 0)


@pytest.mark.slow
def test_a_frozen_postgresql_holds_up_nothing_else(serve, make_worker, postgres, data, wait) -> None:
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(f"{postgres}postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    server = serve(database=f"{postgres}{name}", backend_timeout=2)
    task = post(server, data).json()["id"]
    frozen = [each for each in psutil.Process().children(recursive=True) if each.name().startswith("postgres")]
    answers: list[int] = []
    try:
        for process in frozen:
            process.send_signal(signal.SIGSTOP)
        asking = [
            threading.Thread(target=lambda: answers.append(server.get(f"/tasks/{task}").status_code)) for _ in range(60)
        ]
        for thread in asking:
            thread.start()
        assert all(server.get(path).status_code == 200 for path in HEALTHY)
        wait(lambda: ready(server) == 503)
        refused(server.get("/health/ready"), 503, "task table")
        for thread in asking:
            thread.join()
        assert set(answers) == {503}
    finally:
        for process in frozen:
            process.send_signal(signal.SIGCONT)
    wait(lambda: ready(server) == 200)
    wait(lambda: server.get(f"/tasks/{task}").status_code == 200)
    make_worker(database=f"{postgres}{name}").run_one()
    assert state(server, task)["status"] == "FINISHED"


def test_a_result_is_published_when_the_table_is_back(serve, make_worker, data, monkeypatch) -> None:
    server = serve()
    task = post(server, data).json()["id"]
    worker, away = make_worker(), [True] * 3
    finish = worker._queue.table.finish

    def sometimes(*given, **named):
        if away:
            away.pop()
            raise UnavailableError("the task table is away")
        return finish(*given, **named)

    monkeypatch.setattr(worker._queue.table, "finish", sometimes)
    assert worker.run_one()
    assert not away
    assert (state(server, task)["status"], state(server, task)["attempts"]) == ("FINISHED", 1)


def test_a_worker_says_in_one_line_that_the_table_is_away(make_worker, caplog) -> None:
    worker = make_worker(database="sqlite:////proc/nowhere/t.sqlite")
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    time.sleep(2)
    stop.set()
    thread.join()
    lines = [record for record in caplog.records if "Next check" in record.message]
    assert 2 <= len(lines) <= 7  # of forty looks without pauses that grow
    assert all("nowhere" in line.message and not line.exc_info for line in lines)
