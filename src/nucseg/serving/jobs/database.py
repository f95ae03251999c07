"""The connection to the task table's database: SQLite, or PostgreSQL for several machines."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, Float, cast, create_engine, event, func, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    NoSuchModuleError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.sql.elements import ColumnElement

from nucseg.core.errors import ConfigError
from nucseg.serving.errors import unavailable

_READING = "nucseg_reading"
_log = logging.getLogger(__name__)


def connect(url: str, *, wait: float = 30, connections: int = 5) -> Engine:
    """Create the engine for a database URL, without connecting yet.

    Args:
        url: `sqlite:///path` or `postgresql://user:password@host/name`.
        wait: Seconds that a statement may wait for a lock, or a call for a connection.
        connections: Connections that are kept; as many more may be opened temporarily.

    Raises:
        ConfigError: The URL is wrong or names an unsupported database, or the driver is missing.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("database: not a URL; allowed are sqlite:///path and postgresql://….") from None
    pool = {"pool_size": connections, "max_overflow": connections, "pool_timeout": wait}
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database:
        path = Path(parsed.database).absolute()
        engine = create_engine(parsed, creator=_SqliteFile(path, wait).connect, **pool)
        event.listen(engine, "connect", lambda _, record: record.info.update(file=_identity(path)))
        event.listen(engine, "checkout", lambda _, record, __: _check_file(path, record.info["file"]))
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if backend == "postgresql":
        # If the server is gone, or the network swallows everything, the connection ends instead of holding its thread.
        alive = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
        defaults = {name: value for name, value in {"connect_timeout": 2, **alive}.items() if name not in parsed.query}
        try:
            engine = create_engine(
                parsed.set(drivername="postgresql+psycopg"), connect_args=defaults, pool_pre_ping=True, **pool
            )
        except (ModuleNotFoundError, NoSuchModuleError):
            raise ConfigError(
                'database: PostgreSQL needs a driver; in the project: pip install -e ".[postgres]".'
            ) from None
        event.listen(engine, "connect", lambda connection, _: _limit_statements(connection, wait))
        return engine
    raise ConfigError(f"database: {backend} is not supported; allowed are sqlite:///path and postgresql://….")


def reading(engine: Engine) -> Engine:
    """Return the same engine for read-only transactions, which on SQLite do not wait for writers."""
    return engine.execution_options(**{_READING: True})


@contextmanager
def database_errors() -> Iterator[None]:
    """Convert the errors of an unusable database to `UnavailableError`."""
    try:
        yield
    except (IntegrityError, DataError):
        raise
    except (DBAPIError, PoolTimeoutError) as error:
        raise unavailable("the task table", getattr(error, "orig", None) or error) from error
    except (SQLAlchemyError, OSError) as error:
        raise unavailable("the task table", error) from error


def now(engine: Engine) -> ColumnElement[float]:
    """Return an expression for the database's clock, in seconds since 1970, since the machines' clocks may differ."""
    if engine.dialect.name == "sqlite":
        return cast((func.julianday("now") - 2440587.5) * 86400.0, Float)
    return cast(func.extract("epoch", func.clock_timestamp()), Float)


class _SqliteFile:
    """Connects to an SQLite file: the first connection creates it if it is missing, no later one does.

    Otherwise a file that was removed under a running service would be recreated empty, and processes would continue
    with different files.
    """

    def __init__(self, path: Path, wait: float) -> None:
        self._path = path
        self._wait = wait
        self._seen = False

    def connect(self) -> sqlite3.Connection:
        if not self._seen:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        elif not self._path.exists():
            raise sqlite3.OperationalError(f"{self._path} is missing; restore it, or restart with an empty task table")
        mode = "rw" if self._seen else "rwc"
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode={mode}",
            uri=True,
            timeout=self._wait,
            check_same_thread=False,
            isolation_level=None,  # this module starts the transactions
        )
        try:
            # A job that was accepted survives a power cut.
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        except BaseException:
            connection.close()
            raise
        self._seen = True
        return connection


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_file(path: Path, file: tuple[int, int] | None) -> None:
    """Refuse a connection to a file that was replaced by another one; the pool then reconnects."""
    if _identity(path) != file:
        _log.warning("The task table's file %s was replaced or is missing.", path)
        raise DisconnectionError(f"{path} was replaced")


def _begin_sqlite(connection: Any) -> None:
    # A writer takes its lock at once: a reader that becomes a writer could not wait for it.
    read = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")


def _limit_statements(connection: Any, wait: float) -> None:
    autocommit, connection.autocommit = connection.autocommit, True
    for limit in ("statement_timeout", "lock_timeout"):
        connection.execute(f"SET {limit} = {max(1, round(wait * 1000))}")
    connection.autocommit = autocommit
