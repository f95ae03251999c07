"""The columns of the task table, and its creation."""

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
    insert,
    inspect,
    select,
    text,
)

State = Literal["UPLOADING", "QUEUED", "PROCESSING", "FINISHED", "FAILED", "EXPIRED", "DELETING", "DELETED"]

_metadata = MetaData()
jobs = Table(
    "nucseg_tasks",
    _metadata,
    Column("id", String(36), primary_key=True),
    Column("state", String(10), nullable=False),
    Column("model", String(200)),
    Column("threshold", Float),
    Column("attempts", Integer, nullable=False, default=0),
    Column("lease", String(36)),  # of the worker that has it; a worker with another one may change nothing
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
    Column(
        "given_back", Integer, nullable=False, default=0, server_default="0"
    ),  # number of times, without being at fault
    Column("request_key", String(64)),  # digest of the client's Idempotency-Key
    Column("request_digest", String(64)),  # digest of the rest of the request
    Column("pixel_size", Float),  # micrometres; the image's own if missing
    Column("channel", String(200)),  # its name or number; None takes a grey or a colour image as it is
    Column("scale", Float),  # chosen for the image if missing
    Column("formats", String(100)),  # comma-separated names; all if missing
    Column("training", String(200)),  # name of the model to train; missing for a prediction
    Column("minutes", Float),  # for the training
    Index("nucseg_tasks_state", "state", "created"),
    Index("nucseg_tasks_request_key", "request_key", unique=True),
)
# One row, written to check whether the database accepts writes.
checks = Table(
    "nucseg_checks",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("checked", Float),
    Column("storage", String(36)),  # mark of the storage with the jobs' files
)
# Any number; a process that creates the tables takes this lock first.
_CREATE_LOCK = 726_353


@dataclass(frozen=True)
class Job:
    """One row. Times are seconds since 1970 by the database's clock, progress is a fraction.

    Attributes:
        result: Folder of the result in the storage, once it is finished.
        lease: Token of the worker that has it, which alone may change it.
        given_back: Number of times that a worker returned it for a reason unrelated to the job.
        formats: Comma-separated formats of the result; None is all.
        training: Name of the model to train, from `model`; None for a prediction.
        minutes: Time for the training.
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
    given_back: int
    formats: str | None
    pixel_size: float | None
    channel: str | None
    scale: float | None
    training: str | None
    minutes: float | None


def make_tables(engine: Engine, reader: Engine) -> None:
    """Create the tables, and columns that are missing in those of an earlier version.

    Args:
        engine: The database.
        reader: The same for read-only transactions, so that nothing waits if all tables exist.
    """
    with reader.begin() as connection:
        if set(_metadata.tables) <= set(inspect(connection).get_table_names()) and not _missing(connection):
            return
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_CREATE_LOCK})"))
        _metadata.create_all(connection)
        for column in _missing(connection):
            kind = column.type.compile(connection.dialect)
            default = " NOT NULL DEFAULT 0" if column.server_default is not None else ""
            connection.execute(text(f"ALTER TABLE {jobs.name} ADD COLUMN {column.name} {kind}{default}"))
        for index in jobs.indexes:
            index.create(connection, checkfirst=True)
        if connection.scalar(select(checks.c.id)) is None:
            connection.execute(insert(checks).values(id=1))


def _missing(connection: Connection) -> list[Column[Any]]:
    existing = {column["name"] for column in inspect(connection).get_columns(jobs.name)}
    return [column for column in jobs.columns if column.name not in existing]
