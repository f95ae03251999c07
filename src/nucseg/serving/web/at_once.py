"""Predicting an upload while the client waits, for each route that does so."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from fastapi import Request
from starlette.requests import ClientDisconnect

from nucseg.core.types import Instances
from nucseg.serving.service import Service
from nucseg.serving.web.metrics import Metrics
from nucseg.serving.web.pool import Pool


@dataclass(frozen=True)
class AtOnce:
    """Predicts uploads while their clients wait.

    Attributes:
        service: Predicts.
        pool: Where it does.
        metrics: Counts the nuclei.
    """

    service: Service
    pool: Pool
    metrics: Metrics

    async def predict(
        self, request: Request, upload: IO[bytes], *, model: str | None = None, threshold: float | None = None
    ) -> Instances:
        """Find the nuclei of an upload, as long as the client waits for them.

        Args:
            request: The request, whose body has been read.
            upload: The image file.
            model: Name of the model; None takes the default.
            threshold: The lowest score of a nucleus; None takes the model's own.

        Raises:
            NucsegError: As `DataPlane.predict`.
            ClientDisconnect: The client went away; what waited is dropped, and what runs ends when it can.
        """
        work = asyncio.ensure_future(self.pool.run(self._found, upload, model, threshold))
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ClientDisconnect
            return work.result()
        finally:
            work.cancel()
            gone.cancel()

    def _found(
        self, upload: IO[bytes], model: str | None, threshold: float | None, still_wanted: Callable[[], None]
    ) -> Instances:
        found = self.service.plane.predict(upload, model=model, threshold=threshold, waiting=still_wanted)
        self.metrics.nuclei.inc(len(found))
        return found


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
