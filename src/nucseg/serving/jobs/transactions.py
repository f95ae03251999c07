"""Transactions on the task table's database."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, Engine, text

from nucseg.serving.errors import UnavailableError
from nucseg.serving.jobs.database import database_errors, reading
from nucseg.serving.jobs.schema import make_tables


class Transactions:
    """Begins transactions; the first one creates the tables, so an unavailable database only delays those that need it.

    Args:
        engine: From `nucseg.serving.jobs.database.connect`.

    Attributes:
        engine: The same.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reader = reading(engine)
        self._made = False
        self._making = threading.Lock()

    def writing(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that may change rows.

        Raises:
            UnavailableError: The database cannot be used.
        """
        return self._transaction(self.engine)

    def reading(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that only reads.

        Raises:
            UnavailableError: The database cannot be used.
        """
        return self._transaction(self._reader)

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        try:
            with database_errors():
                if not self._made:
                    self._make()
                with engine.begin() as connection:
                    yield connection
        except UnavailableError:
            self._made = False  # it may be another database afterwards
            raise

    def _make(self) -> None:
        with self._making:
            if not self._made:
                make_tables(self.engine, self._reader)
                self._made = True


def lock(connection: Connection, name: str) -> None:
    """Block other transactions that lock the same name, until this one ends; SQLite has one writer at a time."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": name})
