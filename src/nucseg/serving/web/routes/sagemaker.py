"""What Amazon SageMaker asks of a container.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from nucseg.serving.errors import BusyError
from nucseg.serving.service import Service
from nucseg.serving.web.at_once import predict_upload
from nucseg.serving.web.failures import refusals
from nucseg.serving.web.metrics import Metrics
from nucseg.serving.web.pool import Pool
from nucseg.serving.web.schemas import HealthAnswer, PredictAnswer
from nucseg.serving.web.uploads import RAW, body, read_upload


def routes(service: Service, pool: Pool, metrics: Metrics) -> APIRouter:
    """Create the routes."""
    router = APIRouter(tags=["sagemaker"])

    @router.get("/ping", responses=refusals(HTTPStatus.SERVICE_UNAVAILABLE))
    async def ping() -> HealthAnswer:
        """Report whether the model is loaded."""
        if not pool.ready:
            raise BusyError("the model is not loaded yet.")
        return HealthAnswer(ready=True)

    @router.post(
        "/invocations",
        response_model=PredictAnswer,
        responses=refusals(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.SERVICE_UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
        openapi_extra=body(RAW),
    )
    async def invocations(request: Request) -> Response:
        """Find the nuclei of the image that is the body."""
        with await read_upload(request, form=False) as upload:
            content = await pool.run(predict_upload, service, metrics, upload)
        return Response(content, media_type="application/json")

    return router
