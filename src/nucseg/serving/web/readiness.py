"""Readiness checks of what the service needs, in separate threads and for a bounded time."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from nucseg.serving.errors import UnavailableError
from nucseg.serving.service import Service
from nucseg.serving.temporary import check_temporary

T = TypeVar("T")
_FRESH_SECONDS = 1.0


class Look(Generic[T]):
    """A check that may hang: run by one thread at a time; its last result is used for a second.

    Args:
        what: Name of what is checked, for messages.
        call: The check; it raises an error if something is wrong.
        timeout: Seconds that it may take.
    """

    def __init__(self, what: str, call: Callable[[], T], timeout: float) -> None:
        self.what = what
        self._call = call
        self._timeout = timeout
        self._future: Future[T] | None = None
        self._started = self._ended = 0.0

    async def __call__(self) -> T:
        """Return the check's result; to be called from the event loop only.

        Raises:
            UnavailableError: It took too long; or whatever the check raised.
        """
        if self._future is None or (self._future.done() and time.monotonic() - self._ended > _FRESH_SECONDS):
            self._started = time.monotonic()
            self._future = Future()
            self._future.set_running_or_notify_cancel()  # the caller may go away, while others wait for the same check
            threading.Thread(target=self._run, args=(self._future,), name="look", daemon=True).start()
        waiting = asyncio.wrap_future(self._future)
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())  # asyncio complains otherwise
        # A caller that comes while it already hangs need not wait as long again.
        left = max(0.0, self._started + self._timeout - time.monotonic())
        await asyncio.wait([waiting], timeout=left)
        if not self._future.done():
            raise UnavailableError(f"{self.what} does not answer; try again later.")
        return self._future.result()

    def _run(self, future: Future[T]) -> None:
        try:
            result = self._call()
        except BaseException as error:
            self._ended = time.monotonic()
            future.set_exception(error)
        else:
            self._ended = time.monotonic()
            future.set_result(result)


class Readiness:
    """Task table and storage, if the service has tasks, and temporary folder.

    Args:
        service: The service that uses them.
    """

    def __init__(self, service: Service) -> None:
        queue, timeout = service.queue, service.settings.backend_timeout
        self.table = Look("the task table", queue.table.check, timeout)
        self.storage = Look("the storage", queue.check_storage, timeout)
        self.temporary = Look("the temporary folder", check_temporary, timeout)
        self._counts = Look("the task table", queue.table.counts, timeout)
        self._has_tasks = bool(service.plane.models.answers.CONTRACT.files)

    async def check(self) -> None:
        """Check all of them.

        Raises:
            UnavailableError: One of them cannot be used; the reason for the first one.
        """
        looks = (self.table, self.storage, self.temporary) if self._has_tasks else (self.temporary,)
        answers = await asyncio.gather(*(look() for look in looks), return_exceptions=True)
        for answer in answers:
            if answer is not None:
                raise answer

    async def counts(self) -> dict[str, int] | None:
        """Return the number of tasks in each state; None if there are no tasks, or the task table does not answer."""
        if not self._has_tasks:
            return None
        try:
            return await self._counts()
        except UnavailableError:
            return None
