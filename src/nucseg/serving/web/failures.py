"""The mapping of errors to HTTP responses; the only place that defines it."""

import logging
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from nucseg.core.errors import InputError, ModelError, NucsegError
from nucseg.core.validation import plain_words
from nucseg.serving.errors import (
    BusyError,
    ExpiredJobError,
    InvalidImageError,
    MissingImageError,
    NoRoomError,
    NotNowError,
    ReusedKeyError,
    TooLargeError,
    UnavailableError,
    UnfinishedJobError,
    UnknownJobError,
    UnknownModelError,
    fault_of_machine,
)
from nucseg.serving.web.schemas import ErrorAnswer
from nucseg.serving.web.uploads import FIELD

# The first that fits counts.
_STATUS: tuple[tuple[type[NucsegError], HTTPStatus], ...] = (
    (TooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (UnknownModelError, HTTPStatus.NOT_FOUND),
    (InputError, HTTPStatus.BAD_REQUEST),
    (UnknownJobError, HTTPStatus.NOT_FOUND),
    (UnfinishedJobError, HTTPStatus.CONFLICT),
    (NotNowError, HTTPStatus.CONFLICT),
    (ExpiredJobError, HTTPStatus.GONE),
    (ReusedKeyError, HTTPStatus.CONFLICT),
    (BusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (NoRoomError, HTTPStatus.INSUFFICIENT_STORAGE),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
)
_SENTENCES = {
    HTTPStatus.NOT_FOUND: "there is nothing at this address; the page / lists all routes.",
    HTTPStatus.METHOD_NOT_ALLOWED: "this method is not allowed here; the page / lists the allowed ones.",
}
_log = logging.getLogger(__name__)


def error_response(
    scope: Any,
    status: int,
    message: str,
    headers: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> Response:
    """Return the response to a refused request.

    Args:
        scope: The ASGI scope of the request.
        status: HTTP status.
        message: Message for the client.
        headers: Additional headers.
        errors: What is wrong with form fields, by name.
    """
    request_id = scope.get("state", {}).get("request_id", "")
    content = ErrorAnswer(message=message, errors=errors, request_id=request_id)
    if "app" in scope and scope["app"].state.contract.titled_errors:
        content.title, content.description = HTTPStatus(status).phrase, message
    return Response(content.model_dump_json(exclude_none=True), status, headers, media_type="application/json")


def error_responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Describe responses of `error_response` for the OpenAPI schema."""
    return {status.value: {"model": ErrorAnswer, "description": status.phrase} for status in statuses}


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Answer each error of nucseg and of the framework with `error_response`.

    Args:
        app: The application.
        routes: Its routes, whose methods are listed if another one is requested.
    """
    app.add_exception_handler(NucsegError, _handle_nucseg_error)
    app.add_exception_handler(HTTPException, partial(_handle_http_error, routes))
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    app.add_exception_handler(OSError, _handle_os_error)


async def _handle_nucseg_error(request: Request, error: Exception) -> Response:
    if isinstance(error, UnavailableError):
        _log.error("Request %s: %s", request.scope.get("state", {}).get("request_id"), error.for_log())
    if isinstance(error, MissingImageError):  # the words of the MAX services, which their clients know
        errors = {FIELD: f"{error} Missing required parameter in an uploaded file"}
        return error_response(request.scope, HTTPStatus.BAD_REQUEST, "Input payload validation failed", errors=errors)
    if isinstance(error, InvalidImageError):
        return error_response(request.scope, HTTPStatus.BAD_REQUEST, str(error), errors={FIELD: error.reason})
    for kind, status in _STATUS:
        if isinstance(error, kind):
            retry = getattr(error, "retry_after", None)
            return error_response(request.scope, status, str(error), {"Retry-After": str(retry)} if retry else None)
    _log.error("%s", error)
    message = "the model cannot be used." if isinstance(error, ModelError) else "the service is misconfigured."
    return error_response(request.scope, HTTPStatus.INTERNAL_SERVER_ERROR, message)


async def _handle_http_error(routes: Sequence[BaseRoute], request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # The framework treats any error while a form is written to the disk as the client's fault.
    if fault := fault_of_machine(error.__cause__):
        return await _handle_nucseg_error(request, fault)
    if isinstance(error.__cause__, ClientDisconnect):
        raise error.__cause__
    headers = dict(error.headers or {})
    status = HTTPStatus(error.status_code)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:  # the framework lists those of the first route with this path
        fitting = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
        methods = {method for route in fitting for method in getattr(route, "methods", None) or ()}
        headers["Allow"] = ", ".join(sorted(methods)) or headers.get("Allow", "")
    message = _SENTENCES.get(status) if error.detail == status.phrase else str(error.detail)
    return error_response(request.scope, status, message or status.phrase, headers)


async def _handle_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [f"{'.'.join(map(str, problem['loc'][1:]))}: {plain_words(problem)}" for problem in error.errors()]
    return error_response(request.scope, HTTPStatus.BAD_REQUEST, "; ".join(problems))


async def _handle_os_error(request: Request, error: Exception) -> Response:
    if fault := fault_of_machine(error):
        return await _handle_nucseg_error(request, fault)
    raise error
