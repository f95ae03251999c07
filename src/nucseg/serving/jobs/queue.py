"""The clients' operations on jobs: submit, query, fetch the result, delete."""

import hashlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from nucseg.serving.errors import (
    ExpiredJobError,
    NoRoomError,
    UnavailableError,
    UnfinishedJobError,
    UnknownJobError,
    unavailable,
)
from nucseg.serving.jobs.schema import Job
from nucseg.serving.jobs.storage import Storage
from nucseg.serving.jobs.table import JobTable, Request
from nucseg.serving.limits import DECODE_BYTES, check_size
from nucseg.serving.results import ResultFile

RETRY_AFTER = 2
"""Seconds after which a client may ask again."""

_WITHDRAW_PAUSES = (1, 2, 4, 8, 16)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submission:
    """A job that a client submits, until the client has been answered.

    Attributes:
        job_id: Id of the new job.
        withdrawn: Set when the client is told that the job was not accepted: then it must not be processed.
    """

    job_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    withdrawn: threading.Event = field(default_factory=threading.Event)


class JobQueue:
    """The task table together with the storage.

    Args:
        table: The jobs.
        storage: Their uploads (`<id>/upload`) and results (`<id>/<attempt>/…`).
        files: The formats of results.
        max_queue: Maximum number of waiting jobs.
        max_pixels: Maximum number of pixels of an image.
        max_memory: Maximum memory for decoding it, in bytes.
    """

    def __init__(
        self,
        table: JobTable,
        storage: Storage,
        files: Mapping[str, ResultFile],
        *,
        max_queue: int,
        max_pixels: int,
        max_memory: int = DECODE_BYTES,
    ) -> None:
        self.table = table
        self.storage = storage
        self.files = files
        self._max_queue = max_queue
        self._max_pixels = max_pixels
        self._max_memory = max_memory

    def submit(
        self,
        upload: IO[bytes],
        *,
        model: str | None,
        threshold: float | None,
        formats: Collection[str] = (),
        pixel_size: float | None = None,
        channel: str | None = None,
        scale: float | None = None,
        key: str | None = None,
        submission: Submission | None = None,
    ) -> str:
        """Queue an upload.

        Args:
            upload: TIFF, PNG or JPEG, seekable.
            model: A model that exists; None is the default model of the worker.
            threshold: The lowest score to keep; None takes the model's own.
            formats: Formats in which the result is written; all if none is given.
            pixel_size: Micrometres per pixel; None takes the image's own.
            channel: Name or number of the channel; None takes a grey or a colour image as it is.
            scale: Factor by which the image is resized for the network; None lets the model choose.
            key: The client's name for this request; a second request with it returns the job of the first.
            submission: Through it the job can be withdrawn while it is being accepted.

        Returns:
            The job's id.

        Raises:
            InputError: The header is not that of an image, or the image is too large.
            BusyError: Too many jobs wait.
            ReusedKeyError: The key belongs to another request.
            UnavailableError: Task table or storage cannot be used; no job is left behind.
        """
        check_size(upload, self._max_pixels, max_memory=self._max_memory)
        submission = submission or Submission()
        wanted = [format_name for format_name in self.files if format_name in formats]
        chosen = [f"{name}={value}" for name, value in (("channel", channel), ("scale", scale)) if value is not None]
        parameters = [model, threshold, *([pixel_size] if pixel_size else []), *wanted, *chosen]
        request = _request(key, upload, parameters) if key else None
        job_id = self.table.add(
            submission.job_id,
            model=model,
            threshold=threshold,
            max_queue=self._max_queue,
            formats=",".join(wanted) or None,
            pixel_size=pixel_size,
            channel=channel,
            scale=scale,
            request=request,
        )
        if job_id == submission.job_id:  # otherwise it was accepted before
            self._store(upload, submission)
        return job_id

    def submit_training(
        self, images: IO[bytes], *, model: str | None, name: str, minutes: float, submission: Submission | None = None
    ) -> str:
        """Queue a training.

        Args:
            images: A zip with the folders `images` and `labels`, seekable.
            model: The model to start from; None is the default model of the worker.
            name: Name of the new model.
            minutes: Time for it.
            submission: As of `submit`.

        Returns:
            The job's id.

        Raises:
            BusyError: Too many jobs wait.
            UnavailableError: Task table or storage cannot be used; no job is left behind.
        """
        submission = submission or Submission()
        self.table.add(
            submission.job_id,
            model=model,
            threshold=None,
            max_queue=self._max_queue,
            training=name,
            minutes=minutes,
        )
        self._store(images, submission)
        return submission.job_id

    def _store(self, upload: IO[bytes], submission: Submission) -> None:
        """Store the upload of a new job and queue it; no job is left behind if this fails."""
        job_id = submission.job_id
        try:
            if not submission.withdrawn.is_set():
                self.storage.put_stream(upload, upload_key(job_id))
            # Checked again afterwards: a later withdrawal finds a queued job.
            if submission.withdrawn.is_set() or not self.table.enqueue(job_id) or submission.withdrawn.is_set():
                raise UnavailableError("this took too long; the task was not queued.")
        except BaseException:
            self._discard(job_id)
            raise

    def withdraw(self, submission: Submission) -> None:
        """Withdraw a job that is being or was just accepted: its client was told that it will not be processed."""
        submission.withdrawn.set()
        for pause in _WITHDRAW_PAUSES:
            if self._discard(submission.job_id):
                break
            time.sleep(pause)

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            UnknownJobError: There is no task with this id.
            ExpiredJobError: Its result has expired.
        """
        job = self.table.get(_valid(job_id))
        if job is None:
            raise UnknownJobError("there is no task with this id.")
        if job.state == "EXPIRED":
            raise ExpiredJobError("the result has expired; submit the image again.")
        return job

    def result(self, job_id: str, file: str) -> tuple[Iterator[bytes], int]:
        """Open a file of a job's result.

        Args:
            job_id: The job.
            file: The name of a format.

        Returns:
            Its pieces, and their total number of bytes.

        Raises:
            UnknownJobError: There is no task with this id.
            ExpiredJobError: Its result has expired.
            UnfinishedJobError: It is not finished, or failed, or was not submitted for this format.
        """
        job = self.get(job_id)
        if job.training is not None:
            raise UnfinishedJobError("this task is a training, not a prediction.", retry_after=None)
        self._check_finished(job)
        if file not in (formats := self.formats(job)):
            raise UnfinishedJobError(
                f"this task was submitted for the formats {', '.join(formats)}; submit the image again for {file}.",
                retry_after=None,
            )
        return self._open(job, self.files[file].name)

    def training_result(self, job_id: str, file: str) -> tuple[Iterator[bytes], int]:
        """Open a file of the result of a training.

        Args:
            job_id: The job.
            file: Its name, see `nucseg.serving.worker.training`.

        Returns:
            As `result`.

        Raises:
            UnknownJobError: There is no task with this id.
            ExpiredJobError: Its result has expired.
            UnfinishedJobError: It is not finished, or failed, or is no training.
        """
        job = self.get(job_id)
        if job.training is None:
            raise UnfinishedJobError("this task is a prediction, not a training.", retry_after=None)
        self._check_finished(job)
        return self._open(job, file)

    @staticmethod
    def _check_finished(job: Job) -> None:
        if job.state == "FAILED":
            raise UnfinishedJobError(f"this task failed: {job.error}", retry_after=None)
        if job.result is None:
            raise UnfinishedJobError(f"this task is {job.state}; ask again later.", retry_after=RETRY_AFTER)

    def _open(self, job: Job, name: str) -> tuple[Iterator[bytes], int]:
        try:
            return self.storage.open(f"{job.result}/{name}")
        except FileNotFoundError:
            self.check_storage()
            raise ExpiredJobError("the result has expired; submit the image again.") from None

    def formats(self, job: Job) -> list[str]:
        """Return the formats in which the result of a job is written."""
        return [
            format_name for format_name in self.files if job.formats is None or format_name in job.formats.split(",")
        ]

    def delete(self, job_id: str) -> None:
        """Remove a job with its files; if a worker has it, its result is dropped.

        Raises:
            UnknownJobError: There is no task with this id.
        """
        try:
            found = self.table.delete(_valid(job_id))
        except NoRoomError:  # then room is made first
            if found := self.table.get(job_id) is not None:
                self.storage.delete(job_id)
                self.table.delete(job_id)
        if not found:
            raise UnknownJobError("there is no task with this id.")
        # If this fails, it can be requested again, and the sweep repeats it, too.
        self.storage.delete(job_id)
        self.table.deleted(job_id)

    def check(self) -> None:
        """Check whether task table and storage can be used.

        Raises:
            UnavailableError: One of them cannot.
        """
        self.table.check()
        self.check_storage()

    def check_storage(self) -> None:
        """Check whether the storage can be used, and is the one with the jobs' files.

        Raises:
            UnavailableError: It cannot be used, or it is another one and jobs are waiting.
        """
        known = self.table.knows_storage(self.storage.check())
        if not known and not self.table.settle_storage(self.storage.check, self.storage.mark):
            raise unavailable(
                "the storage",
                FileNotFoundError(
                    f"{self.storage.url} does not contain the waiting tasks' uploads: is its disk mounted? Restore "
                    "it; if it is lost for good, delete the task table, too"
                ),
            )

    def sweep(self) -> None:
        """Expire old jobs, and remove their files and those of deleted jobs and unfinished uploads."""
        self._clear(self.table.old(), self.table.expire, "expired")
        self._clear(self.table.left_over(), self.table.remove, "was removed")
        self.table.forget()

    def _clear(self, job_ids: list[str], note: Callable[[str], None], what: str) -> None:
        for job_id in job_ids:
            self.storage.delete(job_id)
            note(job_id)
            _log.info("Task %s %s.", job_id, what)

    def _discard(self, job_id: str) -> bool:
        """Remove a job whose upload failed; False if this is impossible now: then it is swept later."""
        try:
            if self.table.delete(job_id, uploading=True):
                self.storage.delete(job_id)
                self.table.remove(job_id)
        except UnavailableError as error:
            _log.warning("Task %s was not accepted; it will be removed later: %s", job_id, error.for_log())
            return False
        return True


def upload_key(job_id: str) -> str:
    """Return the key of a job's upload in the storage."""
    return f"{job_id}/upload"


def _request(key: str, upload: IO[bytes], parameters: list[Any]) -> Request:
    upload.seek(0)
    # Every file has `readinto`, but their type does not declare it.
    content = hashlib.file_digest(upload, "sha256").hexdigest()  # type: ignore[arg-type]
    upload.seek(0)
    digest = hashlib.sha256(json.dumps([content, *parameters]).encode()).hexdigest()
    return Request(hashlib.sha256(key.encode()).hexdigest(), digest)


def _valid(job_id: str) -> str:
    try:
        parsed = str(uuid.UUID(job_id))
    except ValueError:
        parsed = ""
    if parsed != job_id:
        raise UnknownJobError("there is no task with this id; an id has 36 characters of 0-9, a-f and '-'.")
    return job_id
