"""The task table: the one truth about what is queued, running and done."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, and_, delete, func, insert, or_, select, text, update

from nucseg.serving.errors import BusyError, ReusedKeyError, UnavailableError
from nucseg.serving.tasks.database import database_errors, now, reading
from nucseg.serving.tasks.schema import State, Task, checks, make_tables, tasks

_FORGET_HOURS = 30 * 24
# What a worker that was killed may still have written of a deleted task is gone after that time.
_TOMBSTONE_SECONDS = 600
_LONGEST_PAUSE = 300.0
_HIDDEN: tuple[State, ...] = ("UPLOADING", "DELETING", "DELETED")


@dataclass(frozen=True)
class Request:
    """What a client may send again without having it done twice.

    Attributes:
        key: Digest of its `Idempotency-Key`.
        digest: Of everything that came with it.
    """

    key: str
    digest: str


_columns = [tasks.c[name] for name in Task.__dataclass_fields__]


class TaskTable:
    """Every change of a task's state, each in one transaction; any number of processes may share it.

    The table is made with the first transaction, so a database that is away holds nobody up but who needs it. Every
    method raises `UnavailableError` where the database cannot be used (`NoRoomError`: its disk is full).

    Args:
        engine: From `nucseg.serving.tasks.database.connect`.
        max_attempts: Times that a task is tried.
        keep_hours: Hours that finished and failed tasks are kept.
        upload_seconds: Seconds after which an upload that did not end is taken for abandoned.
    """

    def __init__(
        self, engine: Engine, *, max_attempts: int = 3, keep_hours: float = 24, upload_seconds: float = 300
    ) -> None:
        self._engine = engine
        self._reader = reading(engine)
        self._now = now(engine)
        self._max_attempts = max_attempts
        self._keep = keep_hours * 3600
        self._upload_seconds = upload_seconds
        self._made = False
        self._making = threading.Lock()

    def check(self) -> None:
        """Write something, to see whether the database can be used.

        Raises:
            UnavailableError: It cannot.
        """
        with self._writing() as connection:
            connection.execute(update(checks).values(checked=self._now))

    def knows_storage(self, mark: str | None) -> bool:
        """Return whether the tasks' files lie in the storage of this mark."""
        with self._reading() as connection:
            return mark is not None and connection.scalar(select(checks.c.storage)) == mark

    def settle_storage(self, read: Callable[[], str | None], write: Callable[[str], None]) -> bool:
        """Take a storage for that of the tasks, if none of those that wait has its upload in another one.

        Args:
            read: Returns the storage's mark, None where it has none.
            write: Gives it one.

        Returns:
            False where tasks wait whose uploads lie elsewhere.
        """
        with self._writing() as connection:
            _lock(connection, "storage")
            mark, known = read(), connection.scalar(select(checks.c.storage))
            if mark is not None and mark == known:
                return True
            if known is not None:
                waiting = tasks.c.state.in_(["UPLOADING", "QUEUED", "PROCESSING"])
                if connection.scalar(select(func.count()).where(waiting)):
                    return False
            if mark is None:
                mark = str(uuid.uuid4())
                write(mark)
            connection.execute(update(checks).values(storage=mark))
        return True

    def add(
        self,
        task_id: str,
        *,
        model: str | None,
        threshold: float | None,
        max_queue: int,
        request: Request | None = None,
    ) -> str:
        """Add a task whose upload is still to come, so that no upload is ever without a task.

        Args:
            task_id: Of the new task, not to be guessed: a UUID.
            model: Its model.
            threshold: Its threshold.
            max_queue: Tasks that may wait.
            request: By which a client may send it again.

        Returns:
            The task's id; that of an earlier task where this request was taken before.

        Raises:
            BusyError: As many tasks wait already as may, or the same request is being taken at this moment.
            ReusedKeyError: The key belongs to another request.
        """
        with self._writing() as connection:
            if request is not None and (earlier := self._earlier(connection, request)):
                return earlier
            waiting = select(func.count()).where(or_(tasks.c.state == "QUEUED", self._uploading()))
            if connection.execute(waiting).scalar_one() >= max_queue:
                raise BusyError("as many tasks are waiting as may; try again later.", retry_after=30)
            connection.execute(
                insert(tasks).values(
                    id=task_id,
                    state="UPLOADING",
                    model=model,
                    threshold=threshold,
                    created=self._now,
                    request_key=request and request.key,
                    request_digest=request and request.digest,
                )
            )
        return task_id

    def _earlier(self, connection: Connection, request: Request) -> str | None:
        """Return the task that this request made before; forget one that came to nothing."""
        of_key = tasks.c.request_key == request.key
        _lock(connection, request.key)
        nothing = or_(
            tasks.c.state.in_(["DELETING", "DELETED", "EXPIRED"]),
            and_(tasks.c.state == "UPLOADING", ~self._uploading()),
        )
        connection.execute(update(tasks).where(of_key, nothing).values(request_key=None))
        row = connection.execute(select(tasks.c.id, tasks.c.state, tasks.c.request_digest).where(of_key)).first()
        if row is None:
            return None
        if row.request_digest != request.digest:
            raise ReusedKeyError("this Idempotency-Key came with another image or other parameters; send a new key.")
        if row.state == "UPLOADING":
            raise BusyError("the same request is being taken at this moment; try again later.", retry_after=2)
        return str(row.id)

    def enqueue(self, task_id: str) -> bool:
        """Let workers have a task whose upload is stored; False where it was removed meanwhile."""
        return self._change(_is(task_id, "UPLOADING"), state="QUEUED")

    def get(self, task_id: str) -> Task | None:
        """Return a task as it stands, or None; one whose upload is still to come is not there yet."""
        with self._reading() as connection:
            row = connection.execute(
                select(*_columns).where(tasks.c.id == task_id, tasks.c.state.not_in(_HIDDEN))
            ).first()
        return Task(**row._mapping) if row else None

    def claim(self, lease_seconds: float) -> Task | None:
        """Take the oldest task that waits, or whose worker has been silent for longer than its lease.

        One that was taken as often as allowed fails instead: it may be what kills the workers.

        Returns:
            The task, with the lease that proves who has it; None where there is nothing to do.
        """
        with self._writing() as connection:
            left = and_(tasks.c.state == "PROCESSING", tasks.c.lease_until < self._now)
            connection.execute(
                update(tasks)
                .where(left, tasks.c.attempts >= self._max_attempts)
                .values(
                    self._ended("FAILED", error=f"Each of {self._max_attempts} workers stopped while it had this task.")
                )
            )
            due = or_(tasks.c.not_before.is_(None), tasks.c.not_before <= self._now)
            waiting = and_(tasks.c.state == "QUEUED", due)
            chosen = connection.scalar(
                select(tasks.c.id)
                .where(or_(waiting, left))
                .order_by(tasks.c.created)
                .limit(1)
                .with_for_update(skip_locked=True)  # SQLite has no such words: there one writer at a time is enough
            )
            if chosen is None:
                return None
            connection.execute(
                update(tasks)
                .where(tasks.c.id == chosen)
                .values(
                    state="PROCESSING",
                    attempts=tasks.c.attempts + 1,
                    lease=str(uuid.uuid4()),
                    lease_until=self._now + lease_seconds,
                    started=self._now,
                    progress=0.0,
                )
            )
            row = connection.execute(select(*_columns).where(tasks.c.id == chosen)).one()
        return Task(**row._mapping)

    def extend(self, task: Task, lease_seconds: float, progress: float) -> bool:
        """Keep a claimed task for longer; False where it is lost (deleted, or taken over)."""
        return self._change(_held(task), lease_until=self._now + lease_seconds, progress=progress)

    def finish(self, task: Task, *, result: str, nuclei: int) -> bool:
        """Publish the result of a claimed task; False where it is lost, and the result is not to be seen."""
        return self._change(_held(task), **self._ended("FINISHED", result=result, nuclei=nuclei, progress=1.0))

    def fail(self, task: Task, error: str, *, retry_in: float | None) -> bool:
        """Give a claimed task up, or back to the queue where it may be tried again.

        Args:
            task: As claimed.
            error: What the client is told.
            retry_in: Seconds until it may be taken again; None where trying again is of no use.

        Returns:
            False where it is lost.
        """
        if retry_in is None or task.attempts >= self._max_attempts:
            return self._change(_held(task), **self._ended("FAILED", error=error))
        return self._change(_held(task), **_waiting, not_before=self._now + retry_in, error=error)

    def give_back(self, task: Task, *, pause: float = 0) -> bool:
        """Put a claimed task back into the queue as if it had never been tried.

        Args:
            task: As claimed.
            pause: Seconds until it may be taken again; twice as many each time that it comes back, up to five minutes.
                0 where the worker merely ends.

        Returns:
            False where it is lost.
        """
        delay = min(pause * 2 ** min(task.given_back, 20), max(pause, _LONGEST_PAUSE))
        return self._change(
            _held(task),
            **_waiting,
            attempts=tasks.c.attempts - 1,
            started=None,
            not_before=self._now + delay if pause else None,
            given_back=tasks.c.given_back + (1 if pause else 0),
        )

    def delete(self, task_id: str, *, uploading: bool = False) -> bool:
        """Hide a task, whatever its state, from clients and workers; its files are to go now.

        Args:
            task_id: The task.
            uploading: Whether it may be one whose upload never ended.

        Returns:
            False where there is none.
        """
        known = tasks.c.state != "DELETED" if uploading else tasks.c.state.not_in(["UPLOADING", "DELETED"])
        return self._change(
            and_(tasks.c.id == task_id, known),
            state="DELETING",
            lease=None,
            lease_until=None,
            request_key=None,
            expires=self._now,
        )

    def deleted(self, task_id: str) -> None:
        """Note that the files of a deleted task are gone; they are looked for once more before its row goes.

        A worker that was killed in the middle of it may have left some.
        """
        self._change(_is(task_id, "DELETING"), state="DELETED", expires=self._now)

    def old(self) -> list[str]:
        """List the tasks whose results were kept long enough; their files are to go, and then `expire` is called."""
        with self._reading() as connection:
            ended = tasks.c.state.in_(["FINISHED", "FAILED"])
            return list(connection.scalars(select(tasks.c.id).where(ended, tasks.c.expires < self._now)))

    def left_over(self) -> list[str]:
        """List deleted tasks and abandoned uploads whose files are to go, and then `remove` is called."""
        with self._reading() as connection:
            abandoned = and_(tasks.c.state == "UPLOADING", ~self._uploading())
            buried = and_(tasks.c.state == "DELETED", tasks.c.expires < self._now - _TOMBSTONE_SECONDS)
            which = or_(tasks.c.state == "DELETING", abandoned, buried)
            return list(connection.scalars(select(tasks.c.id).where(which)))

    def remove(self, task_id: str) -> None:
        """Remove the row of a task."""
        with self._writing() as connection:
            connection.execute(delete(tasks).where(tasks.c.id == task_id))

    def expire(self, task_id: str) -> None:
        """Note that the files of a task are gone."""
        self._change(tasks.c.id == task_id, state="EXPIRED", expires=self._now, result=None)

    def forget(self) -> None:
        """Remove what expired long ago."""
        with self._writing() as connection:
            forgotten = and_(tasks.c.state == "EXPIRED", tasks.c.expires < self._now - _FORGET_HOURS * 3600)
            connection.execute(delete(tasks).where(forgotten))

    def counts(self) -> dict[str, int]:
        """Count the tasks of each state."""
        with self._reading() as connection:
            rows = connection.execute(
                select(tasks.c.state, func.count().label("tasks"))
                .where(tasks.c.state.not_in(["DELETING", "DELETED"]))
                .group_by(tasks.c.state)
            )
            return {row.state: row.tasks for row in rows}

    def _uploading(self) -> Any:
        return and_(tasks.c.state == "UPLOADING", tasks.c.created >= self._now - self._upload_seconds)

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
        with self._writing() as connection:
            return bool(connection.execute(update(tasks).where(which).values(values)).rowcount)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._transaction(self._engine) as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._transaction(self._reader) as connection:
            yield connection

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        try:
            with database_errors():
                if not self._made:
                    self._make()
                with engine.begin() as connection:
                    yield connection
        except UnavailableError:
            self._made = False  # it may be another database when it is back
            raise

    def _make(self) -> None:
        with self._making:
            if not self._made:
                make_tables(self._engine, self._reader)
                self._made = True


_waiting: dict[str, Any] = {"state": "QUEUED", "lease": None, "lease_until": None}


def _lock(connection: Connection, name: str) -> None:
    """Hold up other transactions that lock the same name, until this one ends; SQLite has one writer at a time."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": name})


def _is(task_id: str, state: State) -> Any:
    return and_(tasks.c.id == task_id, tasks.c.state == state)


def _held(task: Task) -> Any:
    return and_(_is(task.id, "PROCESSING"), tasks.c.lease == task.lease)
