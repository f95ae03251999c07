"""The routes of a training on corrected images, which the page /look calls."""

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from nucseg.finetuning.splits import FEWEST
from nucseg.models.registry import MODEL_NAME
from nucseg.serving.corrections import Corrections
from nucseg.serving.errors import UnavailableError
from nucseg.serving.jobs.queue import Submission
from nucseg.serving.service import Service
from nucseg.serving.training_set import TrainingSet
from nucseg.serving.web.backend import Backend
from nucseg.serving.web.failures import error_responses
from nucseg.serving.web.pool import Pool
from nucseg.serving.web.readiness import Readiness
from nucseg.serving.web.routes.look import OUTLINES, REFUSALS, ImageName
from nucseg.serving.web.routes.tasks import LOCATION, TaskId, task_answer
from nucseg.serving.web.schemas import TaskAnswer, TrainingScores, TrainingSetAnswer
from nucseg.serving.web.uploads import ModelName, body
from nucseg.serving.worker.training import REPORT, SCORES

_UNAVAILABLE = error_responses(HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE)
_RESULT = {**_UNAVAILABLE, **error_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GONE)}


def routes(service: Service, backend: Backend, readiness: Readiness, pool: Pool) -> APIRouter:
    """Create the routes.

    Args:
        service: What they call.
        backend: Calls task table and storage.
        readiness: Whether these can be used.
        pool: Threads for what takes long.
    """
    router, queue = APIRouter(tags=["look"]), service.queue
    training = TrainingSet(queue, Corrections(queue, service.plane))

    async def state() -> TrainingSetAnswer:
        return TrainingSetAnswer(images=len(await backend.storage(training.names)), needed=FEWEST)

    @router.post("/look/tasks/{task_id}/training", responses=REFUSALS, openapi_extra=body(OUTLINES))
    async def add(request: Request, task_id: TaskId, name: ImageName = "image") -> TrainingSetAnswer:
        """Add a task's image with its corrected nuclei to the training set, in place of earlier corrections of it."""
        await pool.run(training.add, task_id, name, await request.body())
        return await state()

    @router.get("/look/training", responses=_UNAVAILABLE)
    async def read() -> TrainingSetAnswer:
        """Return how many images the training set has."""
        return await state()

    @router.delete("/look/training", status_code=HTTPStatus.NO_CONTENT, responses=_UNAVAILABLE)
    async def clear() -> None:
        """Remove all images from the training set."""
        await backend.storage(training.clear)

    @router.post(
        "/look/training",
        status_code=HTTPStatus.CREATED,
        responses={
            **error_responses(
                HTTPStatus.BAD_REQUEST,
                HTTPStatus.NOT_FOUND,
                HTTPStatus.CONFLICT,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            ),
            **_UNAVAILABLE,
            201: {"description": "Queued.", "headers": LOCATION},
        },
    )
    async def start(
        response: Response,
        name: Annotated[str, Query(pattern=MODEL_NAME, max_length=100, description="Name of the new model.")],
        minutes: Annotated[float, Query(ge=1, le=600, description="Time for the training.")] = 10,
        model: ModelName = None,
    ) -> TaskAnswer:
        """Queue a training on the training set, which starts from a model and is compared with it on held-out images.

        The response's Location is the URL of the task.
        """
        start_from = service.plane.models.folder(model).name if model else None
        await readiness.check()
        submission = Submission()
        try:
            task_id = await backend.upload(
                training.train, model=start_from, name=name, minutes=minutes, submission=submission
            )
            job = await backend.table(queue.get, task_id)
        except (asyncio.CancelledError, UnavailableError):
            # The client is told that it failed, so it must not be processed after all.
            backend.in_background(queue.withdraw, submission)
            raise
        response.headers["Location"] = f"/tasks/{task_id}"
        return task_answer(job)

    @router.get("/look/training/{task_id}", responses=_RESULT)
    async def scores(task_id: TaskId) -> TrainingScores:
        """Return the scores of both models on the images that were held out."""
        pieces, _ = await backend.storage(queue.training_result, task_id, SCORES)
        return TrainingScores.model_validate_json(b"".join([piece async for piece in backend.pieces(pieces)]))

    @router.get(
        "/look/training/{task_id}/report",
        response_class=StreamingResponse,
        responses={**_RESULT, 200: {"description": "The report.", "content": {"text/html": {}}}},
    )
    async def report(task_id: TaskId) -> StreamingResponse:
        """Return the report that compares both models, as HTML."""
        pieces, size = await backend.storage(queue.training_result, task_id, REPORT)
        return StreamingResponse(backend.pieces(pieces), media_type="text/html", headers={"Content-Length": str(size)})

    return router
