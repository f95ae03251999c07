"""What a client may do with tasks: hand one in, ask for it, fetch its result, remove it."""

import hashlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO

from nucseg.serving.errors import (
    ExpiredTaskError,
    NoRoomError,
    UnavailableError,
    UnfinishedTaskError,
    UnknownTaskError,
    unavailable,
)
from nucseg.serving.limits import DECODE_BYTES, check_size
from nucseg.serving.results import FILES, Format
from nucseg.serving.tasks.schema import Task
from nucseg.serving.tasks.storage import Storage
from nucseg.serving.tasks.table import Request, TaskTable

RETRY_AFTER = 2
"""Seconds after which a client may ask again."""

_WITHDRAW_PAUSES = (1, 2, 4, 8, 16)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submission:
    """A task that a client hands in, until it has been told so.

    Attributes:
        task_id: Of the new task.
        withdrawn: Set when the client is answered that the task was not taken: then it must not be done.
    """

    task_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    withdrawn: threading.Event = field(default_factory=threading.Event)


class TaskQueue:
    """The task table together with the storage.

    Args:
        table: The tasks.
        storage: Their uploads (`<id>/upload`) and results (`<id>/<attempt>/…`).
        max_queue: Tasks that wait at most.
        max_pixels: Pixels that an image may have.
        max_memory: Bytes of memory that decoding it may take.
    """

    def __init__(
        self, table: TaskTable, storage: Storage, *, max_queue: int, max_pixels: int, max_memory: int = DECODE_BYTES
    ) -> None:
        self.table = table
        self.storage = storage
        self._max_queue = max_queue
        self._max_pixels = max_pixels
        self._max_memory = max_memory

    def submit(
        self,
        upload: IO[bytes],
        *,
        model: str | None,
        threshold: float | None,
        key: str | None = None,
        submission: Submission | None = None,
    ) -> str:
        """Queue an upload.

        Args:
            upload: TIFF, PNG or JPEG, seekable.
            model: A model that exists; None is the default one of whoever works on the task.
            threshold: The lowest score to keep; None takes the model's own.
            key: The client's name for this request: a second one with it gives the first one's task.
            submission: By which the task can be withdrawn while it is taken.

        Returns:
            The task's id.

        Raises:
            InputError: The header is not an image's, or that of one that is too large.
            BusyError: Too many tasks wait.
            ReusedKeyError: The key belongs to another request.
            UnavailableError: Task table or storage cannot be used; no task is left behind.
        """
        check_size(upload, self._max_pixels, max_memory=self._max_memory)
        submission = submission or Submission()
        request = _request(key, upload, model, threshold) if key else None
        task_id = self.table.add(
            submission.task_id, model=model, threshold=threshold, max_queue=self._max_queue, request=request
        )
        if task_id != submission.task_id:  # taken before
            return task_id
        try:
            if not submission.withdrawn.is_set():
                self.storage.put_stream(upload, upload_key(task_id))
            # Asked again behind it: whoever withdraws later finds a task that is queued.
            if submission.withdrawn.is_set() or not self.table.enqueue(task_id) or submission.withdrawn.is_set():
                raise UnavailableError("this took too long; the task was not taken.")
        except BaseException:
            self._discard(task_id)
            raise
        return task_id

    def withdraw(self, submission: Submission) -> None:
        """Let a task that is being taken, or was just taken, never be done: its client was told so."""
        submission.withdrawn.set()
        for pause in _WITHDRAW_PAUSES:
            if self._discard(submission.task_id):
                break
            time.sleep(pause)

    def get(self, task_id: str) -> Task:
        """Return a task.

        Raises:
            UnknownTaskError: There is none of this id.
            ExpiredTaskError: Its result was kept long enough.
        """
        task = self.table.get(_valid(task_id))
        if task is None:
            raise UnknownTaskError("there is no task of this id.")
        if task.state == "EXPIRED":
            raise ExpiredTaskError("the result of this task was kept long enough and is gone; send the image again.")
        return task

    def result(self, task_id: str, file: Format) -> tuple[Iterator[bytes], int]:
        """Open a file of a task's result.

        Args:
            task_id: The task.
            file: A key of `nucseg.serving.results.FILES`.

        Returns:
            Its pieces, and their bytes in all.

        Raises:
            UnknownTaskError: There is none of this id.
            ExpiredTaskError: Its result was kept long enough.
            UnfinishedTaskError: It is not finished, or failed.
        """
        task = self.get(task_id)
        if task.state == "FAILED":
            raise UnfinishedTaskError(f"this task failed: {task.error}", retry_after=None)
        if task.result is None:
            raise UnfinishedTaskError(f"this task is {task.state}; ask again later.", retry_after=RETRY_AFTER)
        try:
            return self.storage.open(f"{task.result}/{FILES[file].name}")
        except FileNotFoundError:
            self.check_storage()
            raise ExpiredTaskError("the result of this task is gone; send the image again.") from None

    def delete(self, task_id: str) -> None:
        """Remove a task with its files; what a worker that has it finds is dropped.

        Raises:
            UnknownTaskError: There is none of this id.
        """
        try:
            found = self.table.delete(_valid(task_id))
        except NoRoomError:  # then room is made first
            if found := self.table.get(task_id) is not None:
                self.storage.delete(task_id)
                self.table.delete(task_id)
        if not found:
            raise UnknownTaskError("there is no task of this id.")
        # Where that fails, it can be asked for again, and the sweep does so, too.
        self.storage.delete(task_id)
        self.table.deleted(task_id)

    def check(self) -> None:
        """Look whether task table and storage can be used.

        Raises:
            UnavailableError: One of them cannot.
        """
        self.table.check()
        self.check_storage()

    def check_storage(self) -> None:
        """Look whether the storage can be used, and is the one in which the tasks' files lie.

        Raises:
            UnavailableError: It cannot, or it is another one and tasks wait.
        """
        known = self.table.knows_storage(self.storage.check())
        if not known and not self.table.settle_storage(self.storage.check, self.storage.mark):
            raise unavailable(
                "the storage",
                FileNotFoundError(
                    f"{self.storage.url} is not where the waiting tasks' uploads lie: is its disk mounted? Put it "
                    "back; where it is gone for good, delete the task table, too"
                ),
            )

    def sweep(self) -> None:
        """Let old tasks expire, and remove the files of these, of deleted ones and of uploads that never ended."""
        self._clear(self.table.old(), self.table.expire, "expired")
        self._clear(self.table.left_over(), self.table.remove, "was removed")
        self.table.forget()

    def _clear(self, task_ids: list[str], note: Callable[[str], None], what: str) -> None:
        for task_id in task_ids:
            self.storage.delete(task_id)
            note(task_id)
            _log.info("Task %s %s.", task_id, what)

    def _discard(self, task_id: str) -> bool:
        """Remove a task whose upload failed; False where that cannot be now: then it is swept later."""
        try:
            if self.table.delete(task_id, uploading=True):
                self.storage.delete(task_id)
                self.table.remove(task_id)
        except UnavailableError as error:
            _log.warning("Task %s was not taken; it is removed later: %s", task_id, error.for_log())
            return False
        return True


def upload_key(task_id: str) -> str:
    """Return the key of a task's upload in the storage."""
    return f"{task_id}/upload"


def _request(key: str, upload: IO[bytes], model: str | None, threshold: float | None) -> Request:
    upload.seek(0)
    content = hashlib.file_digest(upload, "sha256").hexdigest()  # type: ignore[arg-type]
    upload.seek(0)
    digest = hashlib.sha256(json.dumps([content, model, threshold]).encode()).hexdigest()
    return Request(hashlib.sha256(key.encode()).hexdigest(), digest)


def _valid(task_id: str) -> str:
    try:
        parsed = str(uuid.UUID(task_id))
    except ValueError:
        parsed = ""
    if parsed != task_id:
        raise UnknownTaskError("there is no task of this id; it would be 36 characters of 0-9, a-f and '-'.")
    return task_id
