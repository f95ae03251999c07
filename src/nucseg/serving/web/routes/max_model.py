"""The routes that clients of IBM's MAX services know, and the list of models."""

from functools import partial
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from nucseg.serving.answers import Answers
from nucseg.serving.service import Service
from nucseg.serving.web.failures import error_responses
from nucseg.serving.web.pool import PredictNow
from nucseg.serving.web.schemas import (
    Label,
    LabelsAnswer,
    MetadataAnswer,
    ModelsAnswer,
    ModelSummary,
)
from nucseg.serving.web.uploads import FORM, ModelName, Threshold, body, read_upload


def routes(service: Service, predict_now: PredictNow, answers: Answers) -> APIRouter:
    """Create the routes."""
    router = APIRouter(tags=["model"])
    models, contract = service.plane.models, answers.CONTRACT

    post = partial(
        router.post,
        "/model/predict",
        response_model=contract.answer,
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

    if contract.classes:

        @router.get("/model/labels")
        def labels() -> LabelsAnswer:
            """List the classes that the models find."""
            labels = [Label(id=number, name=name) for number, name in enumerate(contract.classes, start=1)]
            return LabelsAnswer(count=len(labels), labels=labels)

    @router.get("/models")
    def list_models() -> ModelsAnswer:
        """List the available models."""
        return ModelsAnswer(
            models=[
                ModelSummary(name=name, version=models.version(name), default=name == models.default)
                for name in models.names()
            ]
        )

    return router
