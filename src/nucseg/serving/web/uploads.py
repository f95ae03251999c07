"""The image in a request: the body itself, or a field of a form."""

import tempfile
from collections import Counter
from http import HTTPStatus
from typing import IO, Annotated, Any, get_origin

from fastapi import Query, Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from nucseg.core.errors import InputError
from nucseg.serving.errors import MissingImageError, unavailable
from nucseg.serving.plane import LOWEST_THRESHOLD

IN_MEMORY = 1 << 20
"""Bytes of an upload that are kept in memory; larger ones go to a temporary file."""

FIELD = "image"
ModelName = Annotated[
    str | None,
    Query(min_length=1, max_length=200, description="A model listed by GET /models; the default model if left out."),
]
Threshold = Annotated[
    float | None,
    Query(ge=LOWEST_THRESHOLD, le=1, description="Lowest probability to keep; the model's own threshold by default."),
]

_BINARY = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
RAW = dict.fromkeys(("image/png", "image/tiff", "image/jpeg", "application/octet-stream"), _BINARY)
FORM = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {FIELD: {**_BINARY["schema"], "description": "PNG, TIFF or JPEG."}},
            "required": [FIELD],
            "additionalProperties": False,
        }
    }
}


async def refuse_wrong_parameters(request: Request) -> None:
    """Refuse a parameter that a route does not have, or has once: all but the last would silently be ignored.

    Raises:
        InputError: There is one.
    """
    own = request.scope["route"].dependant
    repeatable = {
        field.alias: get_origin(field.field_info.annotation) is list
        for each in (own, *own.dependencies)
        for field in each.query_params
    }
    allowed = f"allowed are {', '.join(repeatable)}" if repeatable else "none is allowed here"
    for name, times in sorted(Counter(name for name, _ in request.query_params.multi_items()).items()):
        if name not in repeatable:
            raise InputError(f"parameter {name[:100]!r} is unknown; {allowed}.")
        if times > 1 and not repeatable[name]:
            raise InputError(f"{name}: is given {'twice' if times == 2 else f'{times} times'}; give it once.")


def body(content: dict[str, Any]) -> dict[str, Any]:
    """Describe a body for the OpenAPI schema."""
    return {"requestBody": {"required": True, "content": content}}


async def read_upload(
    request: Request,
    *,
    form: bool,
    raw: bool = True,
    wrong_type: HTTPStatus = HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
) -> IO[bytes]:
    """Read the image of a request; the format that the client declares is not used any further.

    Args:
        request: The request.
        form: Whether it may come as the field `image` of a form.
        raw: Whether it may be the body itself; if not, a missing image is an error that names the field.
        wrong_type: Status of the response to another kind of body.

    Returns:
        A seekable stream that removes itself when it is closed.

    Raises:
        HTTPException: `wrong_type`, for another kind of body.
        MissingImageError: There is none in the form that is required.
        InputError: There is nothing.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if form and kind == "multipart/form-data":
        return await _field(request, InputError if raw else MissingImageError)
    if not raw:
        raise MissingImageError(f"Send a form (multipart/form-data) with the file as the field {FIELD!r}.")
    if not kind.startswith("image/") and kind not in ("application/octet-stream", "application/x-image"):
        raise HTTPException(wrong_type, f"send an image: {', '.join([*RAW, *(FORM if form else ())])}.")
    stream = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - the caller closes it
    try:
        async for chunk in request.stream():
            try:
                stream.write(chunk)
            except OSError as error:
                raise unavailable("the temporary folder", error) from error
        if not stream.tell():
            raise InputError("the body is empty; send a PNG, TIFF or JPEG.")
    except BaseException:
        stream.close()
        raise
    return stream


class _Parser(MultiPartParser):
    """Starlette's parser, which also treats a part as a file if its name is only given as in RFC 5987."""

    def on_headers_finished(self) -> None:
        part = self._current_part
        if part.content_disposition and b"filename=" not in part.content_disposition:
            part.content_disposition = part.content_disposition.replace(b"filename*=", b"filename=")
        super().on_headers_finished()


async def _field(request: Request, missing: type[InputError]) -> IO[bytes]:
    parser = _Parser(request.headers, request.stream(), max_files=1, max_fields=16)
    try:
        parsed = await parser.parse()
    except MultiPartException as error:
        raise InputError(f"the form cannot be read ({error.message.rstrip('.')}).") from error
    except OSError as error:
        raise unavailable("the temporary folder", error) from error
    unknown = sorted(set(parsed) - {FIELD})
    if unknown and FIELD in parsed:
        await parsed.close()
        raise InputError(
            f"the form has the unknown field {unknown[0][:99]!r}; send the file as {FIELD!r}, parameters in the URL."
        )
    given = parsed.get(FIELD)
    if not isinstance(given, UploadFile):
        await parsed.close()
        raise missing(f"The form has no file {FIELD!r}; send one (PNG, TIFF or JPEG).")
    return given.file
