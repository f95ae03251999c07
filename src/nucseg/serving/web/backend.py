"""Threads for calls that may hang: separate ones for task table and storage, so that neither blocks anything else."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from nucseg.serving.errors import UnavailableError

T = TypeVar("T")


class Backend:
    """Calls functions that wait for the task table or the storage, in threads, for a bounded time.

    A thread cannot be ended: one that hangs is left until its call returns. While all of them hang, further calls are
    refused after the same time.

    Args:
        timeout: Seconds that a call may take, including the wait for a thread.
        table_threads: Maximum number of simultaneous calls of the task table.
        storage_threads: Maximum number of simultaneous calls of the storage, and of uploads.
    """

    def __init__(self, timeout: float, table_threads: int = 8, storage_threads: int = 16) -> None:
        self._timeout = timeout
        self._table = CapacityLimiter(table_threads)
        self._storage = CapacityLimiter(storage_threads)
        self._uploads = CapacityLimiter(storage_threads)

    async def table(self, call: Callable[..., T], *arguments: Any) -> T:
        """Call a function that uses the task table.

        Raises:
            UnavailableError: It took too long.
        """
        return await self._bounded(self._table, call, arguments)

    async def storage(self, call: Callable[..., T], *arguments: Any) -> T:
        """Call a function that uses the storage.

        Raises:
            UnavailableError: It took too long.
        """
        return await self._bounded(self._storage, call, arguments)

    async def upload(self, call: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Call a function that stores an upload; the caller limits its time."""
        return await to_thread.run_sync(
            partial(call, *arguments, **named), abandon_on_cancel=True, limiter=self._uploads
        )

    async def pieces(self, source: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Read pieces of a file, each in a thread."""
        read = partial(next, source, None)
        while (piece := await to_thread.run_sync(read, abandon_on_cancel=True, limiter=self._storage)) is not None:
            yield piece

    @staticmethod
    def in_background(call: Callable[..., Any], *arguments: Any) -> None:
        """Call a function in a thread of its own that nobody waits for."""
        threading.Thread(target=call, args=arguments, name="background", daemon=True).start()

    async def _bounded(self, limiter: CapacityLimiter, call: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        what = "the task table" if limiter is self._table else "the storage"
        try:
            async with asyncio.timeout(self._timeout):
                return await to_thread.run_sync(partial(call, *arguments), abandon_on_cancel=True, limiter=limiter)
        except TimeoutError:
            raise UnavailableError(f"{what} did not answer within {self._timeout:g} s; try again later.") from None
