"""Takes tasks from the table, predicts, and publishes the results, one task after the other."""

import logging
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from nucseg.core.errors import InputError, ModelError
from nucseg.serving.plane import DataPlane
from nucseg.serving.results import write_result
from nucseg.serving.tasks.queue import TaskQueue, upload_key
from nucseg.serving.tasks.table import Task
from nucseg.serving.worker.background import every

_SWEEP_SECONDS = 60
_log = logging.getLogger(__name__)


class Worker:
    """Works until it is told to stop; then it ends what it is at.

    Args:
        queue: The tasks.
        plane: What predicts.
        lease: Seconds after which others may take a task over when this one is silent.
        poll: Seconds between two looks when there is nothing to do.
        retry_delay: Seconds before the second try of a task; twice as many before each further one.
    """

    def __init__(
        self, queue: TaskQueue, plane: DataPlane, *, lease: float = 60, poll: float = 1, retry_delay: float = 5
    ) -> None:
        self._queue = queue
        self._plane = plane
        self._lease = lease
        self._poll = poll
        self._retry_delay = retry_delay

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        swept = -_SWEEP_SECONDS * 2.0
        while not stop.is_set():
            try:
                if time.monotonic() - swept > _SWEEP_SECONDS:
                    swept = time.monotonic()
                    self._queue.sweep()
                worked = self.run_one()
            except Exception:  # the database or the storage is away: it will be back
                _log.exception("The queue cannot be reached.")
                worked = False
            if not worked:
                stop.wait(self._poll)

    def run_one(self) -> bool:
        """Work on one task; False where there is none."""
        task = self._queue.table.claim(self._lease)
        if task is None:
            return False
        _log.info("Task %s, try %d.", task.id, task.attempts)
        progress = [0.0]
        with every(self._lease / 3, lambda: self._extend(task, progress[0])):
            try:
                self._work(task, lambda done: progress.__setitem__(0, done))
            except InputError as error:
                self._fail(task, str(error), retry=False)
            except Exception as error:
                _log.exception("Task %s failed.", task.id)
                model = isinstance(error, ModelError)
                self._fail(task, "The model cannot be used." if model else "Something unforeseen happened.", retry=True)
        return True

    def _work(self, task: Task, report: Callable[[float], None]) -> None:
        with tempfile.TemporaryDirectory(prefix="nucseg-") as temporary:
            upload, results = Path(temporary) / "upload", Path(temporary) / "results"
            results.mkdir()
            try:
                self._queue.storage.get(upload_key(task.id), upload)
            except FileNotFoundError:
                raise InputError("The upload is gone.") from None
            with upload.open("rb") as stream:
                nuclei, source = self._plane.predict_source(
                    stream, model=task.model, threshold=task.threshold, progress=report
                )
                files = write_result(nuclei, source, results)
            # A folder of its own for each try: one that lost its lease never touches what another one publishes.
            result = f"{task.id}/{uuid.uuid4()}"
            for file in files:
                self._queue.storage.put(file, f"{result}/{file.name}")
        if self._queue.table.finish(task, result=result, nuclei=len(nuclei)):
            _log.info("Task %s is finished: %d nuclei.", task.id, len(nuclei))
        else:
            _log.warning("Task %s was deleted or taken over; this result is dropped.", task.id)
            self._queue.storage.delete(result)

    def _extend(self, task: Task, progress: float) -> None:
        if not self._queue.table.extend(task, self._lease, progress):
            _log.warning("Task %s was deleted or taken over.", task.id)

    def _fail(self, task: Task, error: str, *, retry: bool) -> None:
        delay = self._retry_delay * 2 ** (task.attempts - 1) if retry else None
        self._queue.table.fail(task, error, retry_in=delay)
        _log.info("Task %s: %s", task.id, error)
