"""Threads for predictions: a few beside the event loop, sharing one instance of each model."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from nucseg.serving.service import Service
from nucseg.serving.web.metrics import Metrics

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Pool:
    """A queue in front of a few threads; a waiting call holds no more than its upload.

    Args:
        threads: Number of calls that run at the same time.
        moved: Called with +1 for each call that starts to wait and -1 for each that ended.
    """

    def __init__(self, threads: int, moved: Callable[[int], None]) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._moved = moved
        self._warm: Future[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether warming up has succeeded."""
        return self._warm is not None and self._warm.done() and self._warm.exception() is None

    def warm_up(self, call: Callable[[], None]) -> None:
        """Run a first call before all others; the pool is ready when it has ended."""

        def timed() -> None:
            started = time.perf_counter()
            try:
                call()
            except Exception:
                _log.exception("The model cannot be used: the service will not become ready.")
                raise
            _log.info("Ready after %.1f s.", time.perf_counter() - started)

        self._warm = self._executor.submit(timed)

    async def run(self, call: Callable[..., T], *arguments: Any) -> T:
        """Call a function in one of the threads.

        One that is cancelled before its turn never runs. One that is cancelled later ends when it next checks.

        Args:
            call: The function.
            arguments: Its arguments; a function that raises once the call is cancelled is appended to them.
        """
        cancelled = threading.Event()

        def still_wanted() -> None:
            if cancelled.is_set():
                raise CancelledError

        self._moved(1)
        future = self._executor.submit(call, *arguments, still_wanted)
        future.add_done_callback(lambda _: self._moved(-1))
        try:
            return await asyncio.wrap_future(future)
        finally:
            cancelled.set()

    def close(self) -> None:
        """Wait for running calls, and drop waiting ones."""
        self._executor.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class PredictNow:
    """Predicts uploads while their clients wait.

    Attributes:
        service: Predicts.
        pool: Where it does.
        metrics: Counts the nuclei.
    """

    service: Service
    pool: Pool
    metrics: Metrics

    async def __call__(
        self, request: Request, upload: IO[bytes], *, model: str | None = None, threshold: float | None = None
    ) -> Any:
        """Predict an upload, as long as the client waits for it.

        Args:
            request: The request, whose body has been read.
            upload: The image file.
            model: Name of the model; None takes the default.
            threshold: The lowest score of a nucleus; None takes the model's own.

        Raises:
            NucsegError: As `DataPlane.predict`.
            ClientDisconnect: The client went away; what waited is dropped, and what runs ends when it can.
        """
        work = asyncio.ensure_future(self.pool.run(self._predict, upload, model, threshold))
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ClientDisconnect
            return work.result()
        finally:
            work.cancel()
            gone.cancel()

    def _predict(
        self, upload: IO[bytes], model: str | None, threshold: float | None, still_wanted: Callable[[], None]
    ) -> Any:
        found = self.service.plane.predict(upload, model=model, threshold=threshold, waiting=still_wanted)
        self.metrics.nuclei.inc(self.service.plane.models.answers.count(found) or 0)
        return found


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
