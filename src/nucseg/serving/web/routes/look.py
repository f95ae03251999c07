"""The page to look at results and correct them, and the routes that it calls."""

import json
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from nucseg.core.errors import ConfigError
from nucseg.look.page import render_page
from nucseg.serving.corrections import CORRECTED_FORMATS, Corrections
from nucseg.serving.service import Service
from nucseg.serving.temporary import temporary_folder
from nucseg.serving.web.failures import error_response, error_responses
from nucseg.serving.web.pool import Pool
from nucseg.serving.web.routes.tasks import TaskId
from nucseg.serving.web.uploads import body

OUTLINES = {
    "application/geo+json": {
        "schema": {
            "type": "object",
            "description": "A FeatureCollection of polygons: x and y in pixels, from the image's upper left corner.",
            "required": ["features"],
            "properties": {"features": {"type": "array", "items": {"type": "object"}}},
        }
    }
}
"""The body of a request that sends corrected nuclei."""

ImageName = Annotated[
    str,
    Query(
        pattern=r"^[^/\\\x00-\x1f.][^/\\\x00-\x1f]*$",
        max_length=100,
        description="What the image, and the files, are called.",
    ),
]
"""A query parameter."""
_Format = Literal[CORRECTED_FORMATS]  # type: ignore[valid-type]  # the names are those of the registry
REFUSALS = error_responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.GONE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.INSUFFICIENT_STORAGE,
)


def routes(service: Service, pool: Pool) -> APIRouter:
    """Create the routes.

    Args:
        service: What they call.
        pool: Threads for what takes long.
    """
    router = APIRouter(tags=["look"])
    corrections = Corrections(service.queue, service.plane)
    page = cache(lambda: render_page([], formats=CORRECTED_FORMATS))

    @router.get("/look", include_in_schema=False)
    async def look(request: Request) -> Response:
        """Return the page."""
        try:
            return HTMLResponse(await run_in_threadpool(page))
        except ConfigError as error:
            return error_response(request.scope, HTTPStatus.NOT_IMPLEMENTED, str(error))

    @router.get("/look/tasks/{task_id}", responses={**REFUSALS, 200: {"content": {"application/json": {}}}})
    async def view(task_id: TaskId, name: ImageName = "image") -> Response:
        """Return a task's image and nuclei as the page shows them; the task must have been queued with `geojson`."""
        shown = await pool.run(_view, corrections, task_id, name)
        return Response(shown, media_type="application/json")

    @router.post(
        "/look/tasks/{task_id}/files",
        response_class=Response,
        responses={**REFUSALS, 200: {"content": {"application/octet-stream": {}}}},
        openapi_extra=body(OUTLINES),
    )
    async def files(
        request: Request, task_id: TaskId, format: _Format = "labels", name: ImageName = "image"
    ) -> Response:
        """Write corrected nuclei of a task's image in any format of `nucseg predict`; several files as a zip."""
        content = await request.body()
        written, data = await pool.run(_write, corrections, task_id, name, content, format)
        # Header values are Latin-1; a name may have any letters.
        quoted = written.encode("ascii", "replace").decode().replace('"', "'").replace("?", "_")
        return Response(
            data,
            media_type="application/octet-stream",
            headers={"Content-Disposition": f'attachment; filename="{quoted}"'},
        )

    return router


def _view(corrections: Corrections, task_id: str, name: str, still_wanted: Any) -> bytes:
    return json.dumps(corrections.view(task_id, name, still_wanted), separators=(",", ":"), allow_nan=False).encode()


def _write(
    corrections: Corrections, task_id: str, name: str, content: bytes, format_name: str, still_wanted: Any
) -> tuple[str, bytes]:
    with temporary_folder() as folder:
        path: Path = corrections.write(task_id, name, content, format_name, folder, still_wanted)
        return path.name, path.read_bytes()
