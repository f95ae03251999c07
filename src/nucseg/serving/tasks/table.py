"""The task table: the one truth about what is queued, running and done."""

import uuid
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from nucseg.serving.errors import BusyError
from nucseg.serving.tasks.database import now

State = Literal["UPLOADING", "QUEUED", "PROCESSING", "FINISHED", "FAILED", "EXPIRED"]

_metadata = MetaData()
_tasks = Table(
    "nucseg_tasks",
    _metadata,
    Column("id", String(36), primary_key=True),
    Column("state", String(10), nullable=False),
    Column("model", String(200)),
    Column("threshold", Float),
    Column("attempts", Integer, nullable=False, default=0),
    Column("lease", String(36)),  # of the worker that has it; who holds another one may change nothing
    Column("lease_until", Float),
    Column("not_before", Float),
    Column("progress", Float, nullable=False, default=0.0),
    Column("error", Text),
    Column("nuclei", Integer),
    Column("result", String(100)),  # folder in the storage
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    Column("expires", Float),
    Index("nucseg_tasks_state", "state", "created"),
)
# Any number; whoever makes the table takes this lock first.
_CREATE_LOCK = 726_353
_FORGET_HOURS = 30 * 24
_UPLOAD_HOURS = 1


@dataclass(frozen=True)
class Task:
    """One row. Times are seconds since 1970 by the database's clock, progress is a fraction.

    Attributes:
        result: Folder of the result in the storage, where it is finished.
        lease: Proof of who may change it, where a worker has it.
    """

    id: str
    state: State
    model: str | None
    threshold: float | None
    attempts: int
    lease: str | None
    progress: float
    error: str | None
    nuclei: int | None
    result: str | None
    created: float
    started: float | None
    finished: float | None
    expires: float | None


_columns = [_tasks.c[name] for name in Task.__dataclass_fields__]


class TaskTable:
    """Every change of a task's state, each in one transaction; any number of processes may share it.

    Args:
        engine: From `nucseg.serving.tasks.database.connect`; the table is made where it is missing.
        max_attempts: Times that a task is tried.
        keep_hours: Hours that finished and failed tasks are kept.
    """

    def __init__(self, engine: Engine, *, max_attempts: int = 3, keep_hours: float = 24) -> None:
        self._engine = engine
        self._now = now(engine)
        self._max_attempts = max_attempts
        self._keep = keep_hours * 3600
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_CREATE_LOCK})"))
            _metadata.create_all(connection)

    def add(self, *, model: str | None, threshold: float | None, max_queue: int) -> str:
        """Make a task whose upload is still to come, so that no upload is ever without a task.

        Returns:
            Its id, not to be guessed.

        Raises:
            BusyError: As many tasks wait already as may.
        """
        new = str(uuid.uuid4())
        with self._engine.begin() as connection:
            waiting = select(func.count()).where(_tasks.c.state.in_(["UPLOADING", "QUEUED"]))
            if connection.execute(waiting).scalar_one() >= max_queue:
                raise BusyError("as many tasks are waiting as may; try again later.", retry_after=30)
            connection.execute(
                insert(_tasks).values(id=new, state="UPLOADING", model=model, threshold=threshold, created=self._now)
            )
        return new

    def enqueue(self, task_id: str) -> None:
        """Let workers have a task whose upload is stored."""
        self._change(_is(task_id, "UPLOADING"), state="QUEUED", not_before=self._now)

    def get(self, task_id: str) -> Task | None:
        """Give a task as it stands, or None; one whose upload is still to come is not there yet."""
        with self._engine.begin() as connection:
            row = connection.execute(
                select(*_columns).where(_tasks.c.id == task_id, _tasks.c.state != "UPLOADING")
            ).first()
        return Task(**row._mapping) if row else None

    def claim(self, lease_seconds: float) -> Task | None:
        """Take the oldest task that waits, or whose worker has been silent for longer than its lease.

        One that was taken as often as allowed fails instead: it may be what kills the workers.

        Returns:
            The task, with the lease that proves who has it; None where there is nothing to do.
        """
        with self._engine.begin() as connection:
            left = and_(_tasks.c.state == "PROCESSING", _tasks.c.lease_until < self._now)
            connection.execute(
                update(_tasks)
                .where(left, _tasks.c.attempts >= self._max_attempts)
                .values(
                    self._ended("FAILED", error=f"Each of {self._max_attempts} workers stopped while it had this task.")
                )
            )
            waiting = and_(_tasks.c.state == "QUEUED", _tasks.c.not_before <= self._now)
            chosen = connection.scalar(
                select(_tasks.c.id)
                .where(or_(waiting, left))
                .order_by(_tasks.c.created)
                .limit(1)
                .with_for_update(skip_locked=True)  # SQLite has no such words: there one writer at a time is enough
            )
            if chosen is None:
                return None
            connection.execute(
                update(_tasks)
                .where(_tasks.c.id == chosen)
                .values(
                    state="PROCESSING",
                    attempts=_tasks.c.attempts + 1,
                    lease=str(uuid.uuid4()),
                    lease_until=self._now + lease_seconds,
                    started=self._now,
                    progress=0.0,
                )
            )
            row = connection.execute(select(*_columns).where(_tasks.c.id == chosen)).one()
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
        return self._change(
            _held(task), state="QUEUED", lease=None, lease_until=None, not_before=self._now + retry_in, error=error
        )

    def delete(self, task_id: str) -> bool:
        """Remove a task whatever its state; False where there is none."""
        with self._engine.begin() as connection:
            return bool(connection.execute(delete(_tasks).where(_tasks.c.id == task_id)).rowcount)

    def old(self) -> list[str]:
        """List the tasks whose results were kept long enough, and uploads that never ended; their files are to go."""
        with self._engine.begin() as connection:
            ended = _tasks.c.state.in_(["FINISHED", "FAILED"])
            abandoned = and_(_tasks.c.state == "UPLOADING", _tasks.c.created < self._now - _UPLOAD_HOURS * 3600)
            old = or_(and_(ended, _tasks.c.expires < self._now), abandoned)
            return list(connection.scalars(select(_tasks.c.id).where(old)))

    def expire(self, task_id: str) -> None:
        """Note that the files of a task are gone."""
        self._change(_tasks.c.id == task_id, state="EXPIRED", expires=self._now, result=None)

    def forget(self) -> None:
        """Remove what expired long ago."""
        with self._engine.begin() as connection:
            forgotten = and_(_tasks.c.state == "EXPIRED", _tasks.c.expires < self._now - _FORGET_HOURS * 3600)
            connection.execute(delete(_tasks).where(forgotten))

    def counts(self) -> dict[str, int]:
        """Count the tasks of each state."""
        with self._engine.begin() as connection:
            rows = connection.execute(select(_tasks.c.state, func.count().label("tasks")).group_by(_tasks.c.state))
            return {row.state: row.tasks for row in rows}

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
        with self._engine.begin() as connection:
            return bool(self._execute(connection, which, values))

    @staticmethod
    def _execute(connection: Connection, which: Any, values: dict[str, Any]) -> int:
        return connection.execute(update(_tasks).where(which).values(values)).rowcount


def _is(task_id: str, state: State) -> Any:
    return and_(_tasks.c.id == task_id, _tasks.c.state == state)


def _held(task: Task) -> Any:
    return and_(_is(task.id, "PROCESSING"), _tasks.c.lease == task.lease)
