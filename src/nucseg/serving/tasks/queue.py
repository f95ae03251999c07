"""What a client may do with tasks: hand one in, ask for it, fetch its result, remove it."""

import logging
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from nucseg.serving.errors import ExpiredTaskError, UnfinishedTaskError, UnknownTaskError
from nucseg.serving.limits import check_size
from nucseg.serving.results import FILES, Format
from nucseg.serving.tasks.storage import Storage, save
from nucseg.serving.tasks.table import Task, TaskTable

RETRY_AFTER = 2
"""Seconds after which a client may ask again."""

_log = logging.getLogger(__name__)


class TaskQueue:
    """The task table together with the storage.

    Args:
        table: The tasks.
        storage: Their uploads (`<id>/upload`) and results (`<id>/<attempt>/…`).
        max_queue: Tasks that wait at most.
        max_pixels: Pixels that an image may have.
    """

    def __init__(self, table: TaskTable, storage: Storage, *, max_queue: int, max_pixels: int) -> None:
        self.table = table
        self.storage = storage
        self._max_queue = max_queue
        self._max_pixels = max_pixels

    def submit(self, upload: IO[bytes], *, model: str | None, threshold: float | None) -> str:
        """Queue an upload.

        Args:
            upload: TIFF, PNG or JPEG, seekable.
            model: A model that exists; None is the default one of whoever works on the task.
            threshold: The lowest score to keep; None takes the model's own.

        Returns:
            The task's id.

        Raises:
            InputError: The header is not an image's, or that of one that is too large.
            BusyError: Too many tasks wait.
        """
        check_size(upload, self._max_pixels)
        task_id = self.table.add(model=model, threshold=threshold, max_queue=self._max_queue)
        try:
            with tempfile.TemporaryDirectory(prefix="nucseg-") as folder:
                file = Path(folder) / "upload"
                save(upload, file)
                self.storage.put(file, upload_key(task_id))
        except BaseException:
            self.delete(task_id)
            raise
        self.table.enqueue(task_id)
        return task_id

    def get(self, task_id: str) -> Task:
        """Give a task.

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
            raise ExpiredTaskError("the result of this task is gone; send the image again.") from None

    def delete(self, task_id: str) -> None:
        """Remove a task with its files; what a worker that has it finds is dropped.

        Raises:
            UnknownTaskError: There is none of this id.
        """
        if self.table.get(_valid(task_id)) is None:
            raise UnknownTaskError("there is no task of this id.")
        # The files first: where that fails, it can be asked for again.
        self.storage.delete(task_id)
        self.table.delete(task_id)

    def sweep(self) -> None:
        """Let old tasks expire and remove their files."""
        for task_id in self.table.old():
            self.storage.delete(task_id)
            self.table.expire(task_id)
            _log.info("Task %s expired.", task_id)
        self.table.forget()


def upload_key(task_id: str) -> str:
    """Give the key of a task's upload in the storage."""
    return f"{task_id}/upload"


def _valid(task_id: str) -> str:
    try:
        parsed = str(uuid.UUID(task_id))
    except ValueError:
        parsed = ""
    if parsed != task_id:
        raise UnknownTaskError("there is no task of this id; it would be 36 characters of 0-9, a-f and '-'.")
    return task_id
