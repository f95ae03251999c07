"""The routes that Amazon SageMaker expects of a container.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from nucseg.serving.answers import Answers
from nucseg.serving.errors import BusyError
from nucseg.serving.web.failures import error_responses
from nucseg.serving.web.pool import Pool, PredictNow
from nucseg.serving.web.schemas import HealthAnswer
from nucseg.serving.web.uploads import RAW, body, read_upload

_BINARY = {"schema": {"type": "string", "format": "binary"}}


def routes(predict_now: PredictNow, pool: Pool, answers: Answers) -> APIRouter:
    """Create the routes."""
    router, contract = APIRouter(tags=["sagemaker"]), answers.CONTRACT

    @router.get("/ping", responses=error_responses(HTTPStatus.SERVICE_UNAVAILABLE))
    async def ping() -> HealthAnswer:
        """Report whether the model is loaded."""
        if not pool.ready:
            raise BusyError("the model is not loaded yet.")
        return HealthAnswer(ready=True)

    @router.post(
        "/invocations",
        response_model=contract.answer,
        response_class=JSONResponse if contract.answer else Response,
        responses={
            **error_responses(
                HTTPStatus.BAD_REQUEST,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                contract.wrong_type,
                *([] if contract.answer else [HTTPStatus.NOT_ACCEPTABLE]),
                HTTPStatus.SERVICE_UNAVAILABLE,
                HTTPStatus.INSUFFICIENT_STORAGE,
            ),
            **({200: {"content": {"image/png": _BINARY}}} if contract.encode_mask else {}),
        },
        openapi_extra=body(RAW),
        description=contract.invocations,
    )
    async def invocations(request: Request) -> Response:
        accept = request.headers.get("accept", "*/*")
        if contract.answer is None and not takes_mask(accept):
            raise HTTPException(
                HTTPStatus.NOT_ACCEPTABLE, "the answer is a mask as PNG; accept image/png or application/x-image."
            )
        with await read_upload(request, form=False, wrong_type=contract.wrong_type) as upload:
            found = await predict_now(request, upload)
        if contract.encode_mask and (contract.answer is None or wants_mask(accept)):
            return Response(await run_in_threadpool(contract.encode_mask, found), media_type="image/png")
        return Response(await run_in_threadpool(answers.encode, found), media_type="application/json")

    return router


def takes_mask(accept: str) -> bool:
    """Return whether a client takes an image at all."""
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return not kinds.isdisjoint(("image/png", "application/x-image", "image/*", "*/*"))


def wants_mask(accept: str) -> bool:
    """Return whether the first kind of answer that is known is an image."""
    for part in accept.split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind in ("image/png", "application/x-image"):
            return True
        if kind in ("application/json", "*/*"):
            return False
    return False
