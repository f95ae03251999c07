"""Storage and temporary folder that are full, gone or replaced."""

import contextlib
import errno
import shutil
import subprocess
import tempfile
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
from task_requests import HEALTHY, TIFF, post, ready, refused, state


@pytest.fixture
def data(draw_nuclei, encode) -> bytes:
    return encode(draw_nuclei((60, 60), 4, seed=1)[0], "tiff")


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
    real = tempfile.TemporaryFile

    def full(*given, **more):
        if more.get("dir"):  # of the storage, which is checked meanwhile
            return real(*given, **more)
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
