"""What tests of the service start and ask: servers, workers, a bucket and a queue; and how they wait."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
import requests

from aws_server import free_port
from nucseg.serving.jobs.storage import Storage
from nucseg.serving.service import Service

FAKE = Path(__file__).with_name("serving") / "fake.py"
SEVERAL = Path(__file__).parents[1] / "deploy/several-machines"
SECONDS = 180  # to wait for anything; machines are slow at times


@dataclass
class Server:
    """A server that runs."""

    url: str
    service: Service
    predictor: Any

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=SECONDS, **more)

    def post(self, path: str, **more: Any) -> requests.Response:
        return requests.post(self.url + path, timeout=SECONDS, **more)

    def predict(self, image: bytes, **query: Any) -> requests.Response:
        return self.post("/model/predict", files={"image": ("a", image)}, params=query)


@dataclass
class Process:
    """`nucseg` with the fake model, as a process."""

    popen: subprocess.Popen[bytes]
    log: Path
    url: str = ""

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def stop(self) -> int:
        self.popen.terminate()
        return self.popen.wait(SECONDS)

    def says(self, text: str) -> bool:
        return text in self.log.read_text()


@dataclass
class Processes:
    """Starts processes and ends those that are left."""

    folder: Path
    environment: dict[str, str]
    started: list[Process] = field(default_factory=list)

    def run(self, *arguments: str, script: Path = FAKE, prefix: Sequence[str] = (), **variables: str) -> Process:
        log = self.folder / f"{len(self.started)}.log"
        with log.open("wb") as file:
            popen = subprocess.Popen(
                [*prefix, sys.executable, str(script), *arguments],
                env={**self.environment, **variables},
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        self.started.append(Process(popen, log))
        return self.started[-1]

    def worker(self, **variables: str) -> Process:
        return self.run("worker", **variables)

    def server(
        self,
        *arguments: str,
        script: Path = FAKE,
        prefix: Sequence[str] = (),
        wait_for: str = "/health/ready",
        **variables: str,
    ) -> Process:
        port = free_port()
        process = self.run("serve", "--port", str(port), *arguments, script=script, prefix=prefix, **variables)
        process.url = f"http://127.0.0.1:{port}"
        eventually(lambda: responds(f"{process.url}{wait_for}"), process)
        return process


@dataclass
class Bucket:
    """An S3 server with one bucket.

    Attributes:
        environment: What a service needs to use it.
    """

    command: list[str]
    folder: Path
    environment: dict[str, str]
    popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            environment = {**os.environ, **self.environment}
            self.popen = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log, env=environment)
        create = [sys.executable, str(SEVERAL / "create_bucket.py"), "nucseg"]
        subprocess.run(create, env=environment, check=True)

    def kill(self) -> None:
        if self.popen is not None:
            self.popen.kill()
            self.popen.wait()

    def keys(self) -> list[str]:
        return [each["Key"] for each in self._client().list_objects_v2(Bucket="nucseg").get("Contents", [])]

    def _client(self) -> Any:
        import boto3

        names = {"access_key_id": "ACCESS_KEY_ID", "secret_access_key": "SECRET_ACCESS_KEY"}
        keys = {f"aws_{name}": self.environment[f"AWS_{variable}"] for name, variable in names.items()}
        return boto3.client("s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"], region_name="us-east-1", **keys)


class Cloud:
    """A queue with its dead letters, and where images come from and masks go."""

    def __init__(self, client: Any, queue: str, dead: str, source: str, target: str) -> None:
        self.client, self.queue, self.dead = client, queue, dead
        self.source, self.target = source, target
        self.images, self.masks = Storage(source), Storage(target)

    def send(self, key: str) -> None:
        self.client.send_message(QueueUrl=self.queue, MessageBody=key)

    def counts(self, queue: str) -> tuple[int, int]:
        """Messages that wait, and those that are hidden."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.client.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return int(answer[names[0]]), int(answer[names[1]])


def missing(name: str, what: str) -> NoReturn:
    """Skip a test, or fail it where CI says that nothing of this name may be missing."""
    (pytest.fail if name in os.environ.get("NUCSEG_REQUIRE", "") else pytest.skip)(f"needs {what}")


def connects(url: str) -> bool:
    import psycopg

    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def eventually(condition: Callable[[], Any], process: Process | None = None, seconds: float = SECONDS) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if process is not None and process.popen.poll() is not None:
            pytest.fail(f"the process ended: {process.log.read_text()[-3000:]}")
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds} s in vain" + (process.log.read_text()[-3000:] if process else ""))
        time.sleep(0.02)


def responds(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
