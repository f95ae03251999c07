"""The web application around a service."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import cache
from http import HTTPStatus
from typing import Any

from fastapi import Depends, FastAPI, Response
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware

from nucseg.serving.errors import UnavailableError
from nucseg.serving.service import Service
from nucseg.serving.temporary import sweep_temporary
from nucseg.serving.web import failures
from nucseg.serving.web.auth import ApiKey
from nucseg.serving.web.backend import Backend
from nucseg.serving.web.metrics import Metrics
from nucseg.serving.web.middleware import Limits, RequestContext
from nucseg.serving.web.openapi import TITLE, schema, swagger
from nucseg.serving.web.pool import Pool, PredictNow
from nucseg.serving.web.readiness import Readiness
from nucseg.serving.web.routes import health, look, max_model, models, sagemaker, tasks, training
from nucseg.serving.web.uploads import refuse_wrong_parameters

_MEGABYTE = 1 << 20
_log = logging.getLogger(__name__)


def create_app(service: Service, background: Callable[[], AbstractContextManager[Any]] = nullcontext) -> FastAPI:
    """Create the application.

    Args:
        service: What the routes call.
        background: Context that runs as long as the application (the worker processes).
    """
    settings = service.settings
    metrics, backend, readiness = Metrics(), Backend(settings.backend_timeout), Readiness(service)
    pool = Pool(settings.threads, metrics.running.inc)
    predict_now = PredictNow(service, pool, metrics)
    answers = service.plane.models.answers
    contract = answers.CONTRACT

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        sweep_temporary()
        pool.warm_up(service.plane.warm_up)
        with background():
            try:
                await readiness.check()
            except UnavailableError as error:
                _log.error("Not ready: %s", error.for_log())
            yield
            await run_in_threadpool(pool.close)

    app = FastAPIOffline(
        docs_url="/",
        redoc_url=None,
        static_url="/static",
        title=TITLE,
        description=contract.description,
        version=contract.version,
        lifespan=lifespan,
    )
    app.state.contract = contract
    routers = [models.routes(service.plane.models)]
    if contract.answer:
        routers.append(max_model.routes(service.plane.models, predict_now, contract.answer))
    if contract.files:
        routers.append(tasks.routes(service, backend, readiness))
    if contract.has_outlines:
        routers += [look.routes(service, pool), training.routes(service, backend, readiness, pool)]
    for router in routers:
        app.include_router(
            router,
            dependencies=[Depends(refuse_wrong_parameters)],
            responses=failures.error_responses(HTTPStatus.BAD_REQUEST),
        )
    # Probes and proxies may add parameters of their own to these.
    tolerant = [health.routes(readiness, pool, metrics), sagemaker.routes(predict_now, pool, answers)]
    for router in tolerant:
        app.include_router(router)
    routers += tolerant

    @app.get("/swagger.json", include_in_schema=False)
    async def swagger_json() -> Response:
        return JSONResponse(swagger(app, contract))

    # https://fastapi.tiangolo.com/how-to/extending-openapi/
    app.openapi = cache(lambda: schema(app, with_key=settings.api_key is not None))  # type: ignore[method-assign]  # as there
    failures.install(app, [route for router in routers for route in router.routes])
    # The last one added is the outermost one.
    app.add_middleware(
        Limits,
        max_bytes={"": settings.max_upload_mb * _MEGABYTE, "/tasks": settings.max_task_upload_mb * _MEGABYTE},
        max_requests=settings.max_requests,
        timeout=settings.request_timeout,
    )
    if settings.api_key is not None:
        app.add_middleware(ApiKey, key=settings.api_key.get_secret_value())
    app.add_middleware(RequestContext, observe=metrics.observe)
    # Outermost, so that pages from other origins can read errors, too.
    origins = [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-API-Key", "X-Request-ID"],
            expose_headers=["Location", "Retry-After", "X-Request-ID"],
        )
    return app
