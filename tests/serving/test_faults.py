"""Task table, storage and temporary folder that are full, gone, replaced, locked or frozen."""

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path

import psutil
import pytest
import requests
from s3fs import S3FileSystem

from nucseg.serving.errors import NoRoomError, UnavailableError
from nucseg.serving.jobs.storage import Storage
from nucseg.serving.service import build_queue

TIFF = {"Content-Type": "image/tiff"}
HEALTHY = ("/health/live", "/ping", "/models", "/model/labels", "/metrics")


@pytest.fixture
def data(draw_nuclei, encode) -> bytes:
    return encode(draw_nuclei((60, 60), 4, seed=1)[0], "tiff")


def post(server, data: bytes, **headers: str) -> requests.Response:
    return requests.post(f"{server.url}/tasks", data=data, headers={**TIFF, **headers}, timeout=60)


def ready(server) -> int:
    return requests.get(f"{server.url}/health/ready", timeout=60).status_code


def state(server, task: str) -> dict:
    return requests.get(f"{server.url}/tasks/{task}", timeout=60).json()


def refused(answer: requests.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert words in answer.json()["message"]
    assert int(answer.headers["retry-after"]) > 0


# ---- a storage that cannot be used


@pytest.mark.parametrize("place", ["storage", "database"])
def test_a_place_that_cannot_be_is_reported_at_the_start_and_at_each_request(serve, place, data, caplog) -> None:
    nowhere = "/proc/nowhere/files"
    server = serve(wait_for="/ping", **{place: nowhere if place == "storage" else f"sqlite:///{nowhere}"})
    assert "Not ready" in caplog.text
    assert "/proc/nowhere" in caplog.text
    caplog.clear()
    for answer in (post(server, data), requests.get(f"{server.url}/health/ready", timeout=60)):
        refused(answer, 503, "task table" if place == "database" else "storage")
        assert "nowhere" not in answer.text
    assert "/proc/nowhere" in caplog.text
    assert server.predict(data).status_code == 200  # it needs neither
    assert all(server.get(path).status_code == 200 for path in HEALTHY)


def test_no_row_is_left_of_uploads_that_found_no_room(serve, data, monkeypatch, tmp_path, caplog) -> None:
    server = serve(max_queue=2)
    queue = server.service.queue

    def full(*_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", full)
        for _ in range(3):
            refused(post(server, data), 507, "full")
    assert "disk is full" in caplog.text
    assert queue.table.counts() == {}
    assert not [path for path in (tmp_path / "files").iterdir() if path.is_dir()]
    assert post(server, data).status_code == 201


def test_an_upload_that_a_killed_server_left_is_removed_and_blocks_nothing(settings, tmp_path) -> None:
    queue = build_queue(settings(request_timeout=0.1))
    left = str(uuid.uuid4())
    queue.table.add(left, model=None, threshold=None, max_queue=1)
    queue.storage.put(Path(__file__), f"{left}/upload")
    time.sleep(0.3)
    other = str(uuid.uuid4())
    assert queue.table.add(other, model=None, threshold=None, max_queue=1) == other
    queue.sweep()
    assert not (tmp_path / "files" / left).exists()
    assert not queue.table.enqueue(left)


def test_a_storage_that_vanished_is_not_taken_for_an_empty_one(serve, make_worker, data, tmp_path, caplog) -> None:
    server = serve()
    task = post(server, data).json()["id"]
    files, elsewhere = tmp_path / "files", tmp_path / "elsewhere"
    files.rename(elsewhere)
    worker = make_worker(poll=0.01)  # of a process that starts meanwhile
    for empty in (False, True):  # gone, and unmounted: the folder below is empty
        if empty:
            files.mkdir()
        with pytest.raises(UnavailableError):
            worker._queue.check()
        with pytest.raises(UnavailableError):
            worker.run_one()
        assert files.exists() == empty
        time.sleep(1.1)  # an answer is used for a second
        assert ready(server) == 503
        refused(post(server, data), 503, "storage")
        assert (state(server, task)["status"], state(server, task)["attempts"]) == ("QUEUED", 0)
    assert "is its disk mounted?" in caplog.text
    shutil.rmtree(files)
    elsewhere.rename(files)
    time.sleep(1.1)
    assert ready(server) == 200
    assert worker.run_one()
    assert state(server, task)["status"] == "FINISHED"
    # Nobody waits: another storage is taken, and the old result is not there.
    shutil.rmtree(files)
    time.sleep(1.1)
    assert ready(server) == 200
    assert server.get(f"/masks/{task}").status_code == 410


def test_files_of_a_deleted_task_that_could_not_be_removed_are_removed_later(
    serve, make_worker, data, monkeypatch, tmp_path
) -> None:
    server = serve()
    task = post(server, data).json()["id"]
    make_worker().run_one()
    queue = server.service.queue

    def away(folder: str) -> None:
        raise UnavailableError("the storage is away")

    with monkeypatch.context() as patch:
        patch.setattr(queue.storage, "delete", away)
        answer = requests.delete(f"{server.url}/tasks/{task}", timeout=60)
        refused(answer, 503, "storage")
        with pytest.raises(UnavailableError):
            queue.sweep()
    assert (tmp_path / "files" / task).exists()
    assert server.get(f"/tasks/{task}").status_code == 404
    queue.sweep()
    assert not (tmp_path / "files" / task).exists()


def test_a_task_can_be_deleted_to_make_room(serve, make_worker, data, monkeypatch, tmp_path) -> None:
    server = serve()
    task = post(server, data).json()["id"]
    queue, full = server.service.queue, [True]
    delete = queue.table.delete

    def no_room(task_id: str, **more) -> bool:
        if full.pop() if full else False:
            raise NoRoomError("the task table is full")
        return delete(task_id, **more)

    monkeypatch.setattr(queue.table, "delete", no_room)
    assert requests.delete(f"{server.url}/tasks/{task}", timeout=60).status_code == 204
    assert not (tmp_path / "files" / task).exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_bucket_that_cannot_be_used_is_reported(aws, monkeypatch, free_port, there, tmp_path) -> None:
    """An absent bucket, and a server that does not answer."""
    endpoint = aws if there else f"http://127.0.0.1:{free_port()}"
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    S3FileSystem.clear_instance_cache()  # it keeps the endpoint of another test
    storage = Storage(f"s3://nosuchbucket/{uuid.uuid4()}")
    for use in (
        lambda: storage.mark("a"),
        lambda: storage.put(Path(__file__), "a/b"),
    ):
        with pytest.raises(UnavailableError) as raised:
            use()
        assert ("not exist" if there else "connect") in raised.value.cause
    S3FileSystem.clear_instance_cache()


# ---- a temporary folder that cannot be used


def test_a_full_temporary_folder_is_not_the_clients_fault(serve, data, monkeypatch, caplog) -> None:
    server = serve()
    large = data + bytes(3 << 20)  # larger than what is kept in memory

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    refused(server.predict(large), 507, "temporary folder")
    refused(server.post("/invocations", data=large, headers=TIFF), 507, "temporary folder")
    refused(post(server, large), 507, "temporary folder")
    time.sleep(1.1)
    assert ready(server) == 503
    assert "No space left" in caplog.text


def test_a_worker_without_room_returns_the_task(serve, make_worker, data, monkeypatch) -> None:
    from nucseg.serving.worker import worker as module

    server = serve()
    task = post(server, data).json()["id"]
    worker = make_worker(poll=0.01)

    def work() -> None:
        while not worker.run_one():  # the pauses grow
            pass

    for fault in (OSError(errno.ENOSPC, "full"), OSError(errno.EROFS, "read-only"), NoRoomError("the storage is full")):

        def fail(*_, fault=fault):
            raise fault

        with monkeypatch.context() as patch:
            patch.setattr(module, "write_result", fail)
            for _ in range(2):  # more often in all than a task is tried
                with pytest.raises(UnavailableError):
                    work()
                assert (state(server, task)["status"], state(server, task)["attempts"]) == ("QUEUED", 0)
    work()
    done = state(server, task)
    assert (done["status"], done["attempts"]) == ("FINISHED", 1)


def test_the_pause_of_a_task_that_comes_back_grows(settings) -> None:
    table = build_queue(settings()).table
    task_id = str(uuid.uuid4())
    table.add(task_id, model=None, threshold=None, max_queue=1)
    table.enqueue(task_id)
    seconds = []
    for _ in range(3):
        while (task := table.claim(60)) is None:
            pass
        started = time.monotonic()
        assert table.give_back(task, pause=0.2)
        while (task := table.claim(60)) is None:
            pass
        seconds.append(time.monotonic() - started)
        assert table.give_back(task)
    assert seconds[0] >= 0.2
    assert seconds[1] >= 0.4
    assert seconds[2] >= 0.8


# ---- a small disk, really full


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder and the command that runs a program for which it is a disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = f"mount -t tmpfs -o size=4m tmpfs {folder}"
    if (
        not shutil.which("unshare")
        or subprocess.run(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", mount], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("this machine lets nobody mount a disk")
    script = f'{mount} && mkdir {folder}/tmp && exec "$@"'
    return folder, ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["NUCSEG_STORAGE", "NUCSEG_DATABASE", "TMPDIR"])
def test_a_full_disk(processes, small_disk, place, data, draw_nuclei, encode, wait) -> None:
    folder, prefix = small_disk
    value = {"NUCSEG_STORAGE": "", "NUCSEG_DATABASE": "sqlite:///", "TMPDIR": ""}[place]
    value += str(folder / {"NUCSEG_STORAGE": "files", "NUCSEG_DATABASE": "t.sqlite", "TMPDIR": "tmp"}[place])
    more = {place: value, "NUCSEG_MAX_QUEUE": "2", "NUCSEG_WORKERS": "1", "FAKE_TASK_SECONDS": "2", "FAKE_TILES": "2"}
    more["NUCSEG_LEASE"] = "60"  # no try is lost for a slow machine
    server = processes.server(prefix=prefix, **more)
    large = encode(draw_nuclei((1200, 1200), 4, seed=1)[0], "tiff")
    filler = Path(f"/proc/{server.popen.pid}/root{folder}/filler")
    task = post(server, data).json()["id"]
    wait(lambda: state(server, task)["status"] == "PROCESSING", server)
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    wait(lambda: ready(server) == 503, server)
    for _ in range(3):
        answer = post(server, large)
        assert answer.status_code in (503, 507), answer.text
        assert "full" in answer.json()["message"]
    assert server.says("No space left") or server.says("disk is full")
    assert requests.get(f"{server.url}/health/live", timeout=60).ok
    time.sleep(2.5)  # the task ends meanwhile, as far as it can
    assert state(server, task)["status"] != "FAILED"
    assert state(server, task)["attempts"] <= 1
    # The worker is started again on the full disk.
    for child in psutil.Process(server.popen.pid).children(recursive=True):
        child.terminate()
    filler.unlink()
    wait(lambda: ready(server) == 200, server)
    assert post(server, data).status_code == 201
    wait(lambda: state(server, task)["status"] == "FINISHED", server)
    assert state(server, task)["attempts"] <= 1
    assert server.stop() == 0


# ---- a database that is locked, gone or replaced


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


# ---- requests that are sent again


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
