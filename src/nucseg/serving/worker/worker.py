"""A worker that claims jobs from the table, predicts, and publishes the results, one job after another."""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from nucseg.core.errors import InputError, ModelError
from nucseg.measurements.field import MeasuredChannel
from nucseg.serving.errors import UnavailableError, fault_of_machine
from nucseg.serving.jobs.queue import JobQueue, upload_key
from nucseg.serving.jobs.schema import Job
from nucseg.serving.plane import DataPlane
from nucseg.serving.results import write_result
from nucseg.serving.temporary import check_temporary, sweep_temporary, temporary_folder
from nucseg.serving.worker.heartbeat import LONGEST_PAUSE, heartbeat
from nucseg.serving.worker.training import train

T = TypeVar("T")
_SWEEP_SECONDS = 60
_BEAT_SECONDS = 2.0
_LONGEST_WAIT = 30.0
_log = logging.getLogger(__name__)


class _StoppedError(Exception):
    """The worker has to stop before its job is done."""


class _LostError(Exception):
    """The job was deleted, or another worker has it."""


@dataclass
class _Claim:
    """A job that this worker has.

    Attributes:
        job: As claimed.
        progress: The finished fraction.
        lost: Set when the table shows that it belongs to another worker or to none.
    """

    job: Job
    progress: float = 0.0
    lost: threading.Event = field(default_factory=threading.Event)


class Worker:
    """Works until it is told to stop; then it returns its current job, which does not count as an attempt.

    A job that fails because task table, storage or temporary folder cannot be used is also returned, and the worker
    claims no other until they can.

    Args:
        queue: The jobs.
        plane: What predicts.
        lease: Seconds of silence after which others may take over a job.
        poll: Seconds between two queries when there is nothing to do.
        retry_delay: Seconds before the second attempt at a job; doubled before each further one.
    """

    def __init__(
        self, queue: JobQueue, plane: DataPlane, *, lease: float = 60, poll: float = 1, retry_delay: float = 5
    ) -> None:
        self._queue = queue
        self._plane = plane
        self._lease = lease
        self._poll = poll
        self._retry_delay = retry_delay
        self._stop = threading.Event()
        self._claim: _Claim | None = None

    def run(self, stop: threading.Event) -> None:
        """Process jobs until `stop` is set."""
        self._stop = stop
        sweep_temporary()
        swept, pause = -_SWEEP_SECONDS * 2.0, 0.0
        checked = False
        while not stop.is_set():
            try:
                if not checked:
                    self._queue.check()
                    check_temporary()
                    if pause:
                        _log.info("The queue can be used again.")
                        # The leases expired while nobody could extend them: workers that have jobs come first.
                        stop.wait(min(self._lease / 2, 2 * LONGEST_PAUSE))
                    checked, pause = True, 0.0
                if time.monotonic() - swept > _SWEEP_SECONDS:
                    swept = time.monotonic()
                    self._queue.sweep()
                worked = self.run_one()
            except Exception as error:
                known = isinstance(error, UnavailableError)
                checked, pause = False, min(max(2 * pause, self._poll), _LONGEST_WAIT)
                said = error.for_log() if isinstance(error, UnavailableError) else error
                _log.error("Next check of the queue in %.3g s: %s", pause, said, exc_info=not known)
                stop.wait(pause)
                continue
            if not worked:
                stop.wait(self._poll)

    def run_one(self) -> bool:
        """Process one job; return False if there is none.

        Raises:
            UnavailableError: Task table, storage or temporary folder cannot be used; the job was returned.
        """
        job = self._queue.table.claim(self._lease)
        if job is None:
            return False
        _log.info("Task %s, attempt %d.", job.id, job.attempts)
        self._claim = claim = _Claim(job)
        try:
            with heartbeat(min(self._lease / 3, _BEAT_SECONDS), lambda: self._extend(claim)):
                self._try(claim)
        finally:
            self._claim = None
        return True

    def abandon(self) -> None:
        """Return the current job, if any, to the queue; called from another thread, before the process ends."""
        claim = self._claim
        if claim is not None and self._queue.table.give_back(claim.job):
            _log.info("Task %s is returned to the queue unfinished.", claim.job.id)

    def _try(self, claim: _Claim) -> None:
        job = claim.job
        try:
            self._work(claim)
        except _LostError:
            self._drop(job)
        except _StoppedError:
            self._reach(lambda: self._queue.table.give_back(job))
            _log.info("Task %s is returned to the queue unfinished.", job.id)
        except InputError as error:
            self._fail(job, str(error), retry=False)
        except Exception as error:
            if fault := fault_of_machine(error):
                self._reach(lambda: self._queue.table.give_back(job, pause=max(self._retry_delay, self._poll)))
                _log.warning("Task %s is returned to the queue: %s", job.id, fault)
                raise fault from error
            _log.exception("Task %s failed.", job.id)
            model = isinstance(error, ModelError)
            text = "The model cannot be used." if model else "Internal error (logged with this task's id)."
            self._fail(job, text, retry=True)

    def _work(self, claim: _Claim) -> None:
        job = claim.job
        with temporary_folder() as temporary:
            upload, results = temporary / "upload", temporary / "results"
            results.mkdir()
            try:
                self._queue.storage.get(upload_key(job.id), upload)
            except FileNotFoundError:
                if self._queue.table.get(job.id) is None:
                    raise _LostError from None
                self._queue.check_storage()
                raise InputError("The upload is missing.") from None
            nuclei: int | None
            if job.training is None:
                nuclei, files = self._predicted(claim, upload, results)
            else:
                wanted = self._plane.models.folder(job.model)
                nuclei, files = train(job, upload, results, wanted, lambda done: self._report(claim, done))
            # A separate folder for each attempt: one that lost its lease never touches what another one publishes.
            result = f"{job.id}/{uuid.uuid4()}"
            for file in files:
                self._queue.storage.put(file, f"{result}/{file.name}")
        if self._reach(lambda: self._queue.table.finish(job, result=result, nuclei=nuclei)):
            _log.info("Task %s is finished%s.", job.id, "" if nuclei is None else f": {nuclei} nuclei")
        else:
            self._queue.storage.delete(result)
            raise _LostError

    def _predicted(self, claim: _Claim, upload: Path, results: Path) -> tuple[int | None, list[Path]]:
        """Predict an upload and write its result; return the number of nuclei, if they are counted, and the files."""
        job = claim.job
        with upload.open("rb") as stream:
            found, source = self._plane.predict_source(
                stream,
                model=job.model,
                threshold=job.threshold,
                pixel_size=job.pixel_size,
                channel=job.channel,
                scale=job.scale,
                progress=lambda done: self._report(claim, done),
            )
            wanted = [self._queue.files[given] for given in self._queue.formats(job)]
            channels: tuple[MeasuredChannel, ...] = ()
            if job.channel is not None and any(file.measures for file in wanted):
                channels = self._plane.channels(stream, source, lambda: self._report(claim, claim.progress))
            return self._plane.models.answers.count(found), write_result(found, source, results, wanted, channels)

    def _report(self, claim: _Claim, done: float) -> None:
        """Record the progress of a job; raise an error if the rest of it is no longer wanted."""
        claim.progress = max(claim.progress, done)
        if claim.lost.is_set():
            raise _LostError
        if self._stop.is_set() and done < 1:
            raise _StoppedError

    def _extend(self, claim: _Claim) -> None:
        if not claim.lost.is_set() and not self._queue.table.extend(claim.job, self._lease, claim.progress):
            claim.lost.set()

    def _drop(self, job: Job) -> None:
        _log.warning("Task %s was deleted or taken over; its result is dropped.", job.id)
        if self._queue.table.get(job.id) is None:
            self._queue.storage.delete(job.id)

    def _fail(self, job: Job, error: str, *, retry: bool) -> None:
        delay = self._retry_delay * 2 ** (job.attempts - 1) if retry else None
        self._reach(lambda: self._queue.table.fail(job, error, retry_in=delay))
        _log.info("Task %s: %s", job.id, error)

    def _reach(self, call: Callable[[], T]) -> T:
        """Repeat a call until the task table can be reached, so that a computed result is not lost."""
        pause = self._poll
        while True:
            try:
                return call()
            except UnavailableError as error:
                if self._stop.is_set():
                    raise
                _log.error("Next try in %.3g s: %s", pause, error.for_log())
                self._stop.wait(pause)
                pause = min(2 * pause, _LONGEST_WAIT)
