"""Whether the service lives and is ready, and its numbers for Prometheus."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool

from nucseg.serving.errors import BusyError
from nucseg.serving.service import Service
from nucseg.serving.web.failures import refusals
from nucseg.serving.web.metrics import Metrics
from nucseg.serving.web.pool import Pool
from nucseg.serving.web.schemas import HealthAnswer


def routes(service: Service, pool: Pool, metrics: Metrics) -> APIRouter:
    """Create the routes."""
    router = APIRouter(tags=["health"])

    @router.get("/v2/health/live")
    @router.get("/health/live")
    async def live() -> HealthAnswer:
        """Report that the process is alive."""
        return HealthAnswer()

    @router.get("/v2/health/ready", responses=refusals(HTTPStatus.SERVICE_UNAVAILABLE))
    @router.get("/health/ready", responses=refusals(HTTPStatus.SERVICE_UNAVAILABLE))
    async def ready() -> HealthAnswer:
        """Report whether the model is loaded and the task table can be reached."""
        if not pool.ready:
            raise BusyError("the model is not loaded yet.")
        await run_in_threadpool(service.queue.table.counts)
        return HealthAnswer(ready=True)

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"description": "Prometheus' text format.", "content": {"text/plain": {}}}},
    )
    def numbers() -> Response:
        """Return the service's metrics for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router
