"""The routes of the queue, for large images."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from nucseg.serving.errors import UnavailableError
from nucseg.serving.jobs.queue import RETRY_AFTER, Submission
from nucseg.serving.jobs.schema import Job
from nucseg.serving.service import Service
from nucseg.serving.web.backend import Backend
from nucseg.serving.web.failures import error_responses
from nucseg.serving.web.readiness import Readiness
from nucseg.serving.web.schemas import TaskAnswer, TaskState
from nucseg.serving.web.uploads import FORM, RAW, ModelName, Threshold, body, read_upload

TaskId = Annotated[str, Path(description="Id that POST /tasks returned.")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Any name for this request, such as a UUID: a request repeated with the same key returns the "
        "same task.",
    ),
]
PixelSize = Annotated[
    float | None,
    Query(ge=0.001, le=1000, description="Micrometres per pixel; overrides the image's own, which may be missing."),
]
Channel = Annotated[
    str | None,
    Query(
        max_length=200,
        description="Channel of an image with several: its name, or its number from 0. Without it, such an image is "
        "refused unless it is in colour; of that, `hematoxylin`, `eosin` or `dab` chooses a stain of tissue.",
    ),
]
Scale = Annotated[
    float | None,
    Query(
        ge=0.05,
        le=20,
        description="Factor by which the image is resized for the network: below 1 for nuclei larger than those the "
        "model knows; chosen for the image by default.",
    ),
]
_UNAVAILABLE = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE)
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
LOCATION = {"Location": {"description": "URL of the task.", "schema": {"type": "string"}}}
"""The header of a response to a new task."""


@dataclass(frozen=True)
class Wishes:
    """How an image is predicted, as far as requests can say it; None where they do not."""

    threshold: float | None
    pixel_size: float | None
    channel: str | None
    scale: float | None


def _of_nuclei(
    threshold: Threshold = None, pixel_size: PixelSize = None, channel: Channel = None, scale: Scale = None
) -> Wishes:
    return Wishes(threshold, pixel_size, channel, scale)


def _of_classes(channel: Channel = None, scale: Scale = None) -> Wishes:
    return Wishes(None, None, channel, scale)


def routes(service: Service, backend: Backend, readiness: Readiness) -> APIRouter:
    """Create the routes.

    Args:
        service: What they call.
        backend: Calls task table and storage.
        readiness: Whether these can be used.
    """
    contract = service.plane.models.answers.CONTRACT
    files = contract.files
    answer: type[TaskState] = TaskAnswer if contract.finds_nuclei else TaskState
    wishes_query: Any = Annotated[Wishes, Depends(_of_nuclei if contract.finds_nuclei else _of_classes)]
    # The names are those of the contract, which only the running server knows.
    result_format: Any = Literal[tuple(files)]
    formats_query = Annotated[
        list[result_format],
        Query(max_length=len(files), description="Formats in which the result is written; all formats by default."),
    ]
    default = next(iter(files))
    router = APIRouter(tags=["tasks"])
    queue = service.queue

    @router.post(
        "/tasks",
        status_code=HTTPStatus.CREATED,
        response_model=answer,
        responses={
            **error_responses(
                HTTPStatus.BAD_REQUEST,
                HTTPStatus.NOT_FOUND,
                HTTPStatus.CONFLICT,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                contract.wrong_type,
                *_UNAVAILABLE,
            ),
            201: {"description": "Queued.", "headers": LOCATION},
        },
        openapi_extra=body({**RAW, **FORM}),
    )
    async def create(
        request: Request,
        response: Response,
        wishes: wishes_query,
        model: ModelName = None,
        formats: formats_query = [],  # noqa: B006 - FastAPI copies it
        key: Key = None,
    ) -> TaskAnswer:
        """Queue an image of any size up to the limit; the response's Location is the URL of the task."""
        name = service.plane.models.folder(model).name if model else None
        # Before the upload is read: there may be no room for it.
        await readiness.check()
        submission = Submission()
        with await read_upload(request, form=True, wrong_type=contract.wrong_type) as upload:
            try:
                task_id = await backend.upload(
                    queue.submit,
                    upload,
                    model=name,
                    threshold=wishes.threshold,
                    formats=formats,
                    pixel_size=wishes.pixel_size,
                    channel=wishes.channel,
                    scale=wishes.scale,
                    key=key,
                    submission=submission,
                )
                job = await backend.table(queue.get, task_id)
            except (asyncio.CancelledError, UnavailableError):
                # The client is told that it failed, so it must not be processed after all.
                backend.in_background(queue.withdraw, submission)
                raise
        response.headers["Location"] = f"/tasks/{task_id}"
        return task_answer(job)

    @router.get("/tasks/{task_id}", response_model=answer, responses=error_responses(*_GONE, *_UNAVAILABLE))
    async def read(task_id: TaskId, response: Response) -> TaskAnswer:
        """Return the state of a task; Retry-After says when to ask again."""
        job = await backend.table(queue.get, task_id)
        if job.finished is None:
            response.headers["Retry-After"] = str(RETRY_AFTER)
        return task_answer(job)

    @router.delete(
        "/tasks/{task_id}",
        status_code=HTTPStatus.NO_CONTENT,
        responses=error_responses(HTTPStatus.NOT_FOUND, *_UNAVAILABLE),
    )
    async def delete(task_id: TaskId) -> None:
        """Remove a task with its image and result, whatever its state; a worker that has it stops."""
        await backend.storage(queue.delete, task_id)

    @router.get(
        "/masks/{task_id}",
        response_class=StreamingResponse,
        responses={
            **error_responses(HTTPStatus.BAD_REQUEST, *_GONE, HTTPStatus.CONFLICT, *_UNAVAILABLE),
            200: {
                "description": "The result.",
                "content": {
                    file.media_type: {
                        "schema": {"type": "object"}
                        if file.media_type.endswith("json")
                        else {"type": "string", "format": "binary"}
                    }
                    for file in files.values()
                },
            },
        },
    )
    async def result(
        task_id: TaskId,
        format: Annotated[result_format, Query(description="Format of the result.")] = default,
    ) -> StreamingResponse:
        """Fetch the result of a task."""
        pieces, size = await backend.storage(queue.result, task_id, format)
        file = files[format]
        return StreamingResponse(
            backend.pieces(pieces),
            media_type=file.media_type,
            headers={"Content-Length": str(size), "Content-Disposition": f'inline; filename="{task_id}-{file.name}"'},
        )

    return router


def task_answer(job: Job) -> TaskAnswer:
    """Return what a client is told of a job."""
    return TaskAnswer(
        id=job.id,
        status=cast("Any", job.state),  # the other states are never shown
        progress=job.progress,
        attempts=job.attempts,
        created=_time(job.created),
        started=job.started and _time(job.started),
        finished=job.finished and _time(job.finished),
        expires=job.expires and _time(job.expires),
        nuclei=job.nuclei,
        error=job.error,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
