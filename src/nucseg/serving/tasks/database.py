"""The connection to the task table's database: SQLite, or PostgreSQL for several machines."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Float, cast, create_engine, event, func, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.sql.elements import ColumnElement

from nucseg.core.errors import ConfigError

_BUSY_SECONDS = 30


def connect(url: str) -> Engine:
    """Make the engine for a database URL; the folder of an SQLite file is made where it is missing.

    Args:
        url: `sqlite:///path` or `postgresql://user:password@host/name`.

    Raises:
        ConfigError: The URL is wrong, of another database, or its driver is missing.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("database: not a URL; allowed are sqlite:///path and postgresql://….") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if backend == "postgresql":
        try:
            return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
        except (ModuleNotFoundError, NoSuchModuleError):
            raise ConfigError(
                'database: PostgreSQL needs a driver; in the project: pip install -e ".[postgres]".'
            ) from None
    raise ConfigError(f"database: {backend} is not supported; allowed are sqlite:///path and postgresql://….")


def now(engine: Engine) -> ColumnElement[float]:
    """Give the database's own clock as an expression, in seconds since 1970: machines may not agree on the time."""
    if engine.dialect.name == "sqlite":
        return cast((func.julianday("now") - 2440587.5) * 86400.0, Float)
    return cast(func.extract("epoch", func.clock_timestamp()), Float)


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # this module begins the transactions
    # A task that was accepted survives a power cut.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(connection: Any) -> None:
    # Takes the lock for writing at once: a reader that becomes a writer could not wait for it.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
