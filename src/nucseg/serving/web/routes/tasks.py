"""The routes of the queue, for large images."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, cast

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from nucseg.serving.results import FILES, Format
from nucseg.serving.service import Service
from nucseg.serving.tasks.queue import RETRY_AFTER
from nucseg.serving.tasks.table import Task
from nucseg.serving.web.failures import refusals
from nucseg.serving.web.schemas import TaskAnswer
from nucseg.serving.web.uploads import FORM, RAW, ModelName, Threshold, body, read_upload

TaskId = Annotated[str, Path(description="As POST /tasks gave it.")]
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_LOCATION = {"Location": {"description": "Where to ask how it stands.", "schema": {"type": "string"}}}


def routes(service: Service) -> APIRouter:
    """Create the routes."""
    router = APIRouter(tags=["tasks"])
    queue = service.queue

    @router.post(
        "/tasks",
        status_code=HTTPStatus.CREATED,
        responses={
            **refusals(
                HTTPStatus.BAD_REQUEST,
                HTTPStatus.NOT_FOUND,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                HTTPStatus.SERVICE_UNAVAILABLE,
            ),
            201: {"description": "Queued.", "headers": _LOCATION},
        },
        openapi_extra=body({**RAW, **FORM}),
    )
    async def create(
        request: Request, response: Response, model: ModelName = None, threshold: Threshold = None
    ) -> TaskAnswer:
        """Queue an image of any size up to the limit; the answer's Location says where to ask for it."""
        name = service.plane.models.folder(model).name if model else None
        with await read_upload(request, form=True) as upload:
            task_id = await run_in_threadpool(queue.submit, upload, model=name, threshold=threshold)
        response.headers["Location"] = f"/tasks/{task_id}"
        return _answer(await run_in_threadpool(queue.get, task_id))

    @router.get("/tasks/{task_id}", responses=refusals(*_GONE))
    def read(task_id: TaskId, response: Response) -> TaskAnswer:
        """Return the state of a task; Retry-After says when to ask again."""
        task = queue.get(task_id)
        if task.finished is None:
            response.headers["Retry-After"] = str(RETRY_AFTER)
        return _answer(task)

    @router.delete("/tasks/{task_id}", status_code=HTTPStatus.NO_CONTENT, responses=refusals(HTTPStatus.NOT_FOUND))
    def delete(task_id: TaskId) -> None:
        """Remove a task with its image and result, whatever its state."""
        queue.delete(task_id)

    @router.get(
        "/masks/{task_id}",
        response_class=StreamingResponse,
        responses={
            **refusals(HTTPStatus.BAD_REQUEST, *_GONE, HTTPStatus.CONFLICT),
            200: {
                "description": "The result.",
                "content": {
                    file.media_type: {"schema": {"type": "string", "format": "binary"}} for file in FILES.values()
                },
            },
        },
    )
    def result(
        task_id: TaskId,
        format: Annotated[Format, Query(description="mask is a PNG with 255 where any nucleus is.")] = "mask",
    ) -> StreamingResponse:
        """Fetch the result of a task."""
        pieces, size = queue.result(task_id, format)
        file = FILES[format]
        return StreamingResponse(
            pieces,
            media_type=file.media_type,
            headers={"Content-Length": str(size), "Content-Disposition": f'inline; filename="{task_id}-{file.name}"'},
        )

    return router


def _answer(task: Task) -> TaskAnswer:
    return TaskAnswer(
        id=task.id,
        status=cast("Any", task.state),  # the other states are never shown
        progress=task.progress,
        attempts=task.attempts,
        created=_time(task.created),
        started=task.started and _time(task.started),
        finished=task.finished and _time(task.finished),
        expires=task.expires and _time(task.expires),
        nuclei=task.nuclei,
        error=task.error,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
