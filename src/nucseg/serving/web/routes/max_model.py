"""The routes that clients of IBM's MAX services know."""

from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from nucseg.serving.models import ModelStore
from nucseg.serving.web.failures import error_responses
from nucseg.serving.web.pool import PredictNow
from nucseg.serving.web.schemas import MetadataAnswer
from nucseg.serving.web.uploads import FORM, ModelName, Threshold, body, read_upload


def routes(models: ModelStore, predict_now: PredictNow, schema: type[BaseModel]) -> APIRouter:
    """Create the routes.

    Args:
        models: The models.
        predict_now: Predicts uploads.
        schema: The answer of `/model/predict`.
    """
    router = APIRouter(tags=["model"])
    answers = models.answers
    contract = answers.CONTRACT

    post = partial(
        router.post,
        "/model/predict",
        response_model=schema,
        responses=error_responses(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.SERVICE_UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
        openapi_extra=body(FORM),
        description=contract.predict,
    )

    async def answer(request: Request, model: str | None, threshold: float | None) -> Response:
        with await read_upload(request, form=True, raw=False) as upload:
            found = await predict_now(request, upload, model=model, threshold=threshold)
        return Response(await run_in_threadpool(answers.encode, found), media_type="application/json")

    if contract.takes_threshold:

        @post()
        async def predict(request: Request, model: ModelName = None, threshold: Threshold = None) -> Response:
            return await answer(request, model, threshold)
    else:

        @post()
        async def predict_without_threshold(request: Request, model: ModelName = None) -> Response:
            return await answer(request, model, None)

    @router.get("/model/metadata", responses=error_responses(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND))
    def metadata(model: ModelName = None) -> MetadataAnswer:
        """Describe a model: where it comes from, what it was trained on, how well it does."""
        return MetadataAnswer.model_validate(models.metadata(model))

    if contract.labels:
        classes = contract.labels

        @router.get(
            "/model/labels",
            response_model=classes.answer,
            responses=error_responses(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
        )
        def labels(model: ModelName = None) -> Any:
            """List the classes that a model finds."""
            return classes.listed(models.classes(model))

    return router
