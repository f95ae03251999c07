"""Middleware for every request: its id, its log line, its limits, and a response whatever happens."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nucseg.serving.web.failures import error_response

_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_UNKNOWN = "unknown"
_SHOWN = 200  # characters of a path that no route has
_log = logging.getLogger("nucseg.serving.access")


class RequestContext:
    """Assigns an id to each request, logs and measures it, and responds if the app fails.

    The client may choose the id (`X-Request-ID`); it is returned as a header of the response.

    Args:
        app: The app within.
        observe: Called with method, route, status and seconds of each request.
    """

    def __init__(self, app: ASGIApp, observe: Callable[[str, str, int, float], None]) -> None:
        self.app = app
        self.observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        wanted = Headers(scope=scope).get("x-request-id", "")
        request_id = wanted if _ID.fullmatch(wanted) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started, status, gone = time.perf_counter(), 0, False

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except ClientDisconnect:
            gone = True
        except Exception:
            _log.exception("Request %s failed.", request_id)
            if status:  # too late for another response; the connection is cut
                raise
            answer = error_response(
                scope, HTTPStatus.INTERNAL_SERVER_ERROR, "internal error (logged with this request id)."
            )
            await answer(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            route = _route(scope)
            if not gone:  # otherwise there was nobody to answer
                self.observe(scope["method"], route, status, seconds)
            shown = ascii(scope["path"])[1:-1][:_SHOWN] if route == _UNKNOWN else route
            _log.info("%s %s %s %s %.3fs", request_id, scope["method"], shown, "gone" if gone else status, seconds)


def _route(scope: Scope) -> str:
    """Return the path of the route that answered, without the values in it, so that metrics stay few."""
    if "route" in scope:
        return str(scope["route"].path)
    # Pages and mounted folders set no route; `root_path` is the folder's.
    return str(scope.get("root_path") or scope["path"]) if "endpoint" in scope else _UNKNOWN


class Limits:
    """Limits requests with a body: their bytes, their time, and their number at once.

    Args:
        app: The app within.
        max_bytes: Bytes of a body, by path; the entry of `""` is for all other paths.
        max_requests: Maximum number at once; beyond that, 503 before the body is read.
        timeout: Maximum seconds per request.
    """

    def __init__(self, app: ASGIApp, max_bytes: dict[str, int], max_requests: int, timeout: float) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.max_requests = max_requests
        self.timeout = timeout
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS", "DELETE"):
            await self.app(scope, receive, send)
            return
        limit = self.max_bytes.get(scope["path"], self.max_bytes[""])
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > limit:
            await _too_large(scope, limit)(scope, receive, send)
            return
        if self.running >= self.max_requests:
            await _busy(scope, "too many requests at once; try again later.")(scope, receive, send)
            return
        received, answered = 0, False

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _sentence(limit))
            return message

        async def send_noting(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        self.running += 1
        try:
            async with asyncio.timeout(self.timeout):
                await self.app(scope, receive_limited, send_noting)
        except TimeoutError:
            if answered:
                raise
            remedy = "ask for a longer NUCSEG_REQUEST_TIMEOUT" if scope["path"] == "/tasks" else "send it to /tasks"
            text = f"this took longer than the allowed {self.timeout:g} s; {remedy}."
            await _busy(scope, text)(scope, receive, send)
        finally:
            self.running -= 1


def _sentence(limit: int) -> str:
    return f"the upload is larger than the allowed {limit} bytes."


def _too_large(scope: Scope, limit: int) -> ASGIApp:
    return error_response(scope, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _sentence(limit), {"Connection": "close"})


def _busy(scope: Scope, message: str) -> ASGIApp:
    return error_response(scope, HTTPStatus.SERVICE_UNAVAILABLE, message, {"Retry-After": "5", "Connection": "close"})
