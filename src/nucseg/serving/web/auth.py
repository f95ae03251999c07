"""The API key: one secret that every request must send, except the health checks."""

import base64
import hmac
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from nucseg.serving.web.failures import error_response

OPEN = {"/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/ping", "/look"}
"""The paths that everyone may ask for; the page /look asks for the key itself."""


class ApiKey:
    """Admits only requests with the key.

    It is sent as `X-API-Key`, as a bearer token, or as the password of basic authentication, which browsers ask for.

    Args:
        app: The wrapped app.
        key: The key.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app = app
        self.key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["path"] not in OPEN:
            given = _given(Headers(scope=scope))
            # Takes the same time wherever the first wrong byte is.
            if not hmac.compare_digest(given, self.key):
                headers = {"WWW-Authenticate": 'Basic realm="nucseg"', "Connection": "close"}
                text = "the API key is missing or wrong; send it as the header X-API-Key."
                await error_response(scope, HTTPStatus.UNAUTHORIZED, text, headers)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _given(headers: Headers) -> bytes:
    if "x-api-key" in headers:
        return headers["x-api-key"].encode("latin-1")
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode("latin-1")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2]
        except ValueError:
            return b""
    return b""
