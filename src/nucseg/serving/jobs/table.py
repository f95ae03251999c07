"""The task table: the authoritative record of what is queued, running and done."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, and_, delete, func, insert, or_, select, update

from nucseg.serving.errors import BusyError, ReusedKeyError
from nucseg.serving.jobs.database import now
from nucseg.serving.jobs.schema import Job, State, checks, jobs
from nucseg.serving.jobs.transactions import Transactions, lock

_FORGET_HOURS = 30 * 24
# After this time, nothing remains of what a killed worker may still have written for a deleted job.
_TOMBSTONE_SECONDS = 600
_LONGEST_PAUSE = 300.0
_HIDDEN: tuple[State, ...] = ("UPLOADING", "DELETING", "DELETED")


@dataclass(frozen=True)
class Request:
    """A request that a client may repeat without having it processed twice.

    Attributes:
        key: Digest of its `Idempotency-Key`.
        digest: Digest of everything that came with it.
    """

    key: str
    digest: str


_columns = [jobs.c[name] for name in Job.__dataclass_fields__]


class JobTable:
    """All changes of jobs' states, each in one transaction; any number of processes may share the table.

    Every method raises `UnavailableError` if the database cannot be used (`NoRoomError`: its disk is full).

    Args:
        engine: From `nucseg.serving.jobs.database.connect`.
        max_attempts: Maximum number of attempts per job.
        keep_hours: Hours for which finished and failed jobs are kept.
        upload_seconds: Seconds after which an unfinished upload counts as abandoned.
    """

    def __init__(
        self, engine: Engine, *, max_attempts: int = 3, keep_hours: float = 24, upload_seconds: float = 300
    ) -> None:
        self._transactions = Transactions(engine)
        self._now = now(engine)
        self._max_attempts = max_attempts
        self._keep = keep_hours * 3600
        self._upload_seconds = upload_seconds

    def check(self) -> None:
        """Write something, to see whether the database can be used.

        Raises:
            UnavailableError: It cannot.
        """
        with self._transactions.writing() as connection:
            connection.execute(update(checks).values(checked=self._now))

    def knows_storage(self, mark: str | None) -> bool:
        """Return whether the jobs' files are in the storage with this mark."""
        with self._transactions.reading() as connection:
            return mark is not None and connection.scalar(select(checks.c.storage)) == mark

    def settle_storage(self, read: Callable[[], str | None], write: Callable[[str], None]) -> bool:
        """Accept a storage as that of the jobs, unless a waiting job has its upload in another one.

        Args:
            read: Returns the storage's mark, None if it has none.
            write: Writes one.

        Returns:
            False if jobs are waiting whose uploads are elsewhere.
        """
        with self._transactions.writing() as connection:
            lock(connection, "storage")
            mark, known = read(), connection.scalar(select(checks.c.storage))
            if mark is not None and mark == known:
                return True
            if known is not None:
                waiting = jobs.c.state.in_(["UPLOADING", "QUEUED", "PROCESSING"])
                if connection.scalar(select(func.count()).where(waiting)):
                    return False
            if mark is None:
                mark = str(uuid.uuid4())
                write(mark)
            connection.execute(update(checks).values(storage=mark))
        return True

    def add(
        self,
        job_id: str,
        *,
        model: str | None,
        threshold: float | None,
        max_queue: int,
        formats: str | None = None,
        pixel_size: float | None = None,
        channel: str | None = None,
        scale: float | None = None,
        training: str | None = None,
        minutes: float | None = None,
        request: Request | None = None,
    ) -> str:
        """Add a job whose upload is still to come, so that no upload is ever without a job.

        Args:
            job_id: Id of the new job; a UUID, so that it cannot be guessed.
            model: Its model.
            threshold: Its threshold.
            max_queue: Maximum number of waiting jobs.
            formats: Comma-separated formats of its result; None is all.
            pixel_size: Micrometres per pixel of its image; None takes the image's own.
            channel: Channel of its image; None takes a grey or a colour image as it is.
            scale: Factor by which it is resized for the network; None lets the model choose.
            training: Name of the model to train; None for a prediction.
            minutes: Time for the training.
            request: Identifies the request if the client repeats it.

        Returns:
            The job's id; if this request was accepted before, the id of that job.

        Raises:
            BusyError: The queue is full, or the same request is being accepted right now.
            ReusedKeyError: The key belongs to another request.
        """
        with self._transactions.writing() as connection:
            if request is not None and (earlier := self._earlier(connection, request)):
                return earlier
            waiting = select(func.count()).where(or_(jobs.c.state == "QUEUED", self._uploading()))
            if connection.execute(waiting).scalar_one() >= max_queue:
                raise BusyError("the task queue is full; try again later.", retry_after=30)
            connection.execute(
                insert(jobs).values(
                    id=job_id,
                    state="UPLOADING",
                    model=model,
                    threshold=threshold,
                    formats=formats,
                    pixel_size=pixel_size,
                    channel=channel,
                    scale=scale,
                    training=training,
                    minutes=minutes,
                    created=self._now,
                    request_key=request and request.key,
                    request_digest=request and request.digest,
                )
            )
        return job_id

    def _earlier(self, connection: Connection, request: Request) -> str | None:
        """Return the job that this request created before; forget one whose upload failed."""
        of_key = jobs.c.request_key == request.key
        lock(connection, request.key)
        nothing = or_(
            jobs.c.state.in_(["DELETING", "DELETED", "EXPIRED"]),
            and_(jobs.c.state == "UPLOADING", ~self._uploading()),
        )
        connection.execute(update(jobs).where(of_key, nothing).values(request_key=None))
        row = connection.execute(select(jobs.c.id, jobs.c.state, jobs.c.request_digest).where(of_key)).first()
        if row is None:
            return None
        if row.request_digest != request.digest:
            raise ReusedKeyError(
                "this Idempotency-Key was used with another image or other parameters; send a new key."
            )
        if row.state == "UPLOADING":
            raise BusyError("the same request is being processed; try again later.", retry_after=2)
        return str(row.id)

    def enqueue(self, job_id: str) -> bool:
        """Queue a job whose upload is stored; return False if it was removed meanwhile."""
        return self._change(_is(job_id, "UPLOADING"), state="QUEUED")

    def get(self, job_id: str) -> Job | None:
        """Return a job's current state, or None; a job without its upload does not exist yet."""
        with self._transactions.reading() as connection:
            row = connection.execute(select(*_columns).where(jobs.c.id == job_id, jobs.c.state.not_in(_HIDDEN))).first()
        return Job(**row._mapping) if row else None

    def claim(self, lease_seconds: float) -> Job | None:
        """Claim the oldest job that is waiting, or whose worker has been silent for longer than its lease.

        A job that has been claimed as often as allowed fails instead: it may be what kills the workers.

        Returns:
            The job with its lease; None if there is nothing to do.
        """
        with self._transactions.writing() as connection:
            left = and_(jobs.c.state == "PROCESSING", jobs.c.lease_until < self._now)
            connection.execute(
                update(jobs)
                .where(left, jobs.c.attempts >= self._max_attempts)
                .values(self._ended("FAILED", error=f"The worker died on each of {self._max_attempts} attempts."))
            )
            waiting = and_(jobs.c.state == "QUEUED", or_(jobs.c.not_before.is_(None), jobs.c.not_before <= self._now))
            chosen = connection.scalar(
                select(jobs.c.id)
                .where(or_(waiting, left))
                .order_by(jobs.c.created)
                .limit(1)
                # SQLite lacks this clause, and does not need it: it has one writer at a time.
                .with_for_update(skip_locked=True)
            )
            if chosen is None:
                return None
            connection.execute(
                update(jobs)
                .where(jobs.c.id == chosen)
                .values(
                    state="PROCESSING",
                    attempts=jobs.c.attempts + 1,
                    lease=str(uuid.uuid4()),
                    lease_until=self._now + lease_seconds,
                    started=self._now,
                    progress=0.0,
                )
            )
            row = connection.execute(select(*_columns).where(jobs.c.id == chosen)).one()
        return Job(**row._mapping)

    def extend(self, job: Job, lease_seconds: float, progress: float) -> bool:
        """Extend the lease of a claimed job; return False if it is lost (deleted, or taken over)."""
        return self._change(_held(job), lease_until=self._now + lease_seconds, progress=progress)

    def finish(self, job: Job, *, result: str, nuclei: int | None) -> bool:
        """Publish the result of a claimed job; return False if the job is lost: then the result stays hidden."""
        return self._change(_held(job), **self._ended("FINISHED", result=result, nuclei=nuclei, progress=1.0))

    def fail(self, job: Job, error: str, *, retry_in: float | None) -> bool:
        """End a claimed job as failed, or queue it again if it may be retried.

        Args:
            job: As claimed.
            error: Message for the client.
            retry_in: Seconds until it may be claimed again; None if another attempt is useless.

        Returns:
            False if it is lost.
        """
        if retry_in is None or job.attempts >= self._max_attempts:
            return self._change(_held(job), **self._ended("FAILED", error=error))
        return self._change(_held(job), **_waiting, not_before=self._now + retry_in, error=error)

    def give_back(self, job: Job, *, pause: float = 0) -> bool:
        """Return a claimed job to the queue as if it had never been tried.

        Args:
            job: As claimed.
            pause: Seconds until it may be claimed again, doubled each time that it comes back, up to five minutes; 0 if
                the worker only shuts down.

        Returns:
            False if it is lost.
        """
        delay = min(pause * 2 ** min(job.given_back, 20), max(pause, _LONGEST_PAUSE))
        return self._change(
            _held(job),
            **_waiting,
            attempts=jobs.c.attempts - 1,
            started=None,
            not_before=self._now + delay if pause else None,
            given_back=jobs.c.given_back + (1 if pause else 0),
        )

    def delete(self, job_id: str, *, uploading: bool = False) -> bool:
        """Hide a job, whatever its state, from clients and workers; its files can then be deleted.

        Args:
            job_id: The job.
            uploading: Whether its upload may be unfinished.

        Returns:
            False if there is none.
        """
        known = jobs.c.state != "DELETED" if uploading else jobs.c.state.not_in(["UPLOADING", "DELETED"])
        return self._change(
            and_(jobs.c.id == job_id, known),
            state="DELETING",
            lease=None,
            lease_until=None,
            request_key=None,
            expires=self._now,
        )

    def deleted(self, job_id: str) -> None:
        """Record that the files of a deleted job are gone; they are looked for once more before its row is deleted.

        A worker that was killed in the middle of it may have left some.
        """
        self._change(_is(job_id, "DELETING"), state="DELETED", expires=self._now)

    def old(self) -> list[str]:
        """List the jobs whose results expire; delete their files, then call `expire`."""
        with self._transactions.reading() as connection:
            ended = jobs.c.state.in_(["FINISHED", "FAILED"])
            return list(connection.scalars(select(jobs.c.id).where(ended, jobs.c.expires < self._now)))

    def left_over(self) -> list[str]:
        """List deleted jobs and abandoned uploads; delete their files, then call `remove`."""
        with self._transactions.reading() as connection:
            abandoned = and_(jobs.c.state == "UPLOADING", ~self._uploading())
            buried = and_(jobs.c.state == "DELETED", jobs.c.expires < self._now - _TOMBSTONE_SECONDS)
            which = or_(jobs.c.state == "DELETING", abandoned, buried)
            return list(connection.scalars(select(jobs.c.id).where(which)))

    def remove(self, job_id: str) -> None:
        """Remove the row of a job."""
        with self._transactions.writing() as connection:
            connection.execute(delete(jobs).where(jobs.c.id == job_id))

    def expire(self, job_id: str) -> None:
        """Record that the files of a job are gone."""
        self._change(jobs.c.id == job_id, state="EXPIRED", expires=self._now, result=None)

    def forget(self) -> None:
        """Remove jobs that expired long ago."""
        with self._transactions.writing() as connection:
            forgotten = and_(jobs.c.state == "EXPIRED", jobs.c.expires < self._now - _FORGET_HOURS * 3600)
            connection.execute(delete(jobs).where(forgotten))

    def counts(self) -> dict[str, int]:
        """Count the jobs of each state."""
        with self._transactions.reading() as connection:
            rows = connection.execute(
                select(jobs.c.state, func.count().label("jobs"))
                .where(jobs.c.state.not_in(["DELETING", "DELETED"]))
                .group_by(jobs.c.state)
            )
            return {row.state: row.jobs for row in rows}

    def _uploading(self) -> Any:
        return and_(jobs.c.state == "UPLOADING", jobs.c.created >= self._now - self._upload_seconds)

    def _ended(self, state: State, **values: Any) -> dict[str, Any]:
        return {
            "state": state,
            "lease": None,
            "lease_until": None,
            "finished": self._now,
            "expires": self._now + self._keep,
            **values,
        }

    def _change(self, which: Any, **values: Any) -> bool:
        with self._transactions.writing() as connection:
            return bool(connection.execute(update(jobs).where(which).values(values)).rowcount)


_waiting: dict[str, Any] = {"state": "QUEUED", "lease": None, "lease_until": None}


def _is(job_id: str, state: State) -> Any:
    return and_(jobs.c.id == job_id, jobs.c.state == state)


def _held(job: Job) -> Any:
    return and_(_is(job.id, "PROCESSING"), jobs.c.lease == job.lease)
