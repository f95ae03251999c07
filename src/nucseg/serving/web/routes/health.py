"""Health and readiness of the service, and its metrics for Prometheus."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from nucseg.serving.errors import BusyError, UnavailableError
from nucseg.serving.web.failures import error_responses
from nucseg.serving.web.metrics import Metrics
from nucseg.serving.web.pool import Pool
from nucseg.serving.web.readiness import Readiness
from nucseg.serving.web.schemas import HealthAnswer


def routes(readiness: Readiness, pool: Pool, metrics: Metrics) -> APIRouter:
    """Create the routes."""
    router = APIRouter(tags=["health"])

    @router.get("/v2/health/live")
    @router.get("/health/live")
    async def live() -> HealthAnswer:
        """Report that the process is alive."""
        return HealthAnswer()

    @router.get("/v2/health/ready", responses=error_responses(HTTPStatus.SERVICE_UNAVAILABLE))
    @router.get("/health/ready", responses=error_responses(HTTPStatus.SERVICE_UNAVAILABLE))
    async def ready() -> HealthAnswer:
        """Report whether the model is loaded, and task table, storage and temporary folder can be used."""
        if not pool.ready:
            raise BusyError("the model is not loaded yet.")
        try:
            await readiness.check()
        except UnavailableError as error:  # 503, full or not
            raise UnavailableError(f"not ready: {error}", error.cause) from error
        return HealthAnswer(ready=True)

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"description": "Prometheus' text format.", "content": {"text/plain": {}}}},
    )
    async def numbers() -> Response:
        """Return the service's metrics for Prometheus."""
        return Response(metrics.text(await readiness.counts()), media_type=CONTENT_TYPE_LATEST)

    return router
