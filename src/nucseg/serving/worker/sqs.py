"""A worker that takes image keys from an SQS queue, predicts, and writes the masks to a bucket."""

import logging
import threading
from typing import Any

from nucseg.core.errors import ConfigError, InputError
from nucseg.serving.answers import OF_TASKS
from nucseg.serving.errors import UnavailableError
from nucseg.serving.jobs.storage import Storage
from nucseg.serving.plane import DataPlane
from nucseg.serving.results import write_result
from nucseg.serving.temporary import sweep_temporary, temporary_folder
from nucseg.serving.worker.heartbeat import heartbeat

MASK = "mask.png"
"""The name of every mask."""

_WAIT = 10  # seconds of a long poll
_log = logging.getLogger(__name__)


class SqsWorker:
    """Works until it is told to stop; then it finishes its current message.

    A message is deleted after its masks are stored, and hidden from others meanwhile. A message that cannot be
    processed is left alone: it comes back until the queue's redrive policy moves it to the dead-letter queue. A message
    that comes twice yields the same masks under the same keys.

    Args:
        client: boto3's SQS client.
        queue_url: The queue; the body of a message is a key below `source`.
        source: The images.
        target: The masks: `<key>.<name of the format>`, such as `slide.tif.mask.png`, which is written last.
        plane: What predicts.
        visibility: Seconds for which a message is hidden; extended while the work continues.
        own_key: Whether only the mask is written, under the image's own key.
    """

    def __init__(
        self,
        client: Any,
        queue_url: str,
        source: Storage,
        target: Storage,
        plane: DataPlane,
        *,
        visibility: int = 60,
        own_key: bool = False,
    ) -> None:
        self._client = client
        self._queue = queue_url
        self._source = source
        self._target = target
        self._plane = plane
        self._visibility = visibility
        contract = plane.models.answers.CONTRACT
        self._files = [contract.files[name] for name in (("mask",) if own_key else contract.batch)]
        self._suffixes = ["" if own_key else f".{file.name}" for file in self._files]

    def run(self, stop: threading.Event) -> None:
        """Process messages until `stop` is set."""
        sweep_temporary()
        while not stop.is_set():
            try:
                self.run_one()
            except Exception:  # the queue is unavailable for now
                _log.exception("The queue cannot be reached.")
                stop.wait(_WAIT)

    def run_one(self) -> bool:
        """Process one message; return False if there is none, or it could not be processed."""
        answer = self._client.receive_message(
            QueueUrl=self._queue,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=_WAIT,
            VisibilityTimeout=self._visibility,
        )
        for message in answer.get("Messages", []):
            receipt = {"QueueUrl": self._queue, "ReceiptHandle": message["ReceiptHandle"]}

            def extend(receipt: dict[str, str] = receipt) -> None:
                self._client.change_message_visibility(**receipt, VisibilityTimeout=self._visibility)

            try:
                with heartbeat(self._visibility / 3, extend):
                    self._work(message["Body"])
            except Exception as error:
                known = isinstance(error, InputError | FileNotFoundError | UnavailableError)
                said = error.for_log() if isinstance(error, UnavailableError) else error
                _log.error("Message %s failed: %s", message["MessageId"], said, exc_info=not known)
                return False
            self._client.delete_message(**receipt)
            return True
        return False

    def _work(self, key: str) -> None:
        with temporary_folder() as temporary:
            upload, results = temporary / "upload", temporary / "results"
            results.mkdir()
            self._source.get(key, upload)
            with upload.open("rb") as stream:
                found, source = self._plane.predict_source(stream)
                files = write_result(found, source, results, self._files)
            for file, suffix in zip(files, self._suffixes, strict=True):
                self._target.put(file, f"{key}{suffix}")
        nuclei = self._plane.models.answers.count(found)
        _log.info("%s: %s.", key, "written" if nuclei is None else f"{nuclei} nuclei")


def result_names() -> list[str]:
    """Return the suffixes, after a dot, that turn the key of an image into those of its masks, in the order of writing.

    Which of the others there are depends on the workers' model.
    """
    contracts = [answers.CONTRACT for answers in OF_TASKS.values()]
    names = dict.fromkeys(contract.files[name].name for contract in contracts for name in contract.batch)
    return sorted(names, key=MASK.__eq__)


def sqs_client() -> Any:
    """Create boto3's client; region, credentials and endpoint come from where boto3 looks for them.

    Raises:
        ConfigError: boto3 is missing, or no region is set.
    """
    try:
        import boto3
    except ModuleNotFoundError:
        raise ConfigError('SQS needs a package: pip install -e ".[aws]" in the project.') from None
    session = boto3.Session()
    if session.region_name is None:
        raise ConfigError("SQS needs a region: set AWS_DEFAULT_REGION.")
    return session.client("sqs")
