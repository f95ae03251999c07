"""Limits for connections before and after a request: header bytes, seconds, and the number of connections."""

import asyncio
import logging
import resource
import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_OPEN_FILES = 4096  # a server that may open more does not need to
_log = logging.getLogger(__name__)


def open_files() -> int:
    """Return the number of files and connections that this process may open, up to 4,096."""
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], _OPEN_FILES)


class BoundedConnection(HttpToolsProtocol):
    """A connection of uvicorn with the limits that it lacks.

    A request line with headers is refused if it is too long or takes too long, and a response that the client does not
    read is cut off. If too many connections are open, the one that has been idle longest is closed, so that a new one
    (such as a health check) is always accepted.

    Attributes:
        head_bytes: Bytes of a request line with its headers.
        head_seconds: Seconds for them to arrive, counted from the opening of the connection.
        idle_seconds: Seconds for a client to read more of a response.
        most: Maximum number of open connections; half of the files that the process may open.
    """

    head_bytes = 32 << 10
    head_seconds = 10.0
    idle_seconds = 60.0
    warned = -60.0  # time of the last log line about too many

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.most = open_files() // 2
        self.head: int | None = 0  # bytes of the current request; None once its head has ended
        self.opened = 0.0
        self.timer: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether no request of this connection is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: Any) -> None:
        """Limit the time of the first request, and the number of connections."""
        super().connection_made(transport)
        self.opened = self.loop.time()
        self._wait(self.head_seconds)
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._wait(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass on received data, of a head no more than the limit: one that ended beyond it would be accepted."""
        start = 0
        while start < len(data) and not self.transport.is_closing():
            piece = data[start : start + self.head_bytes - (self.head or 0)]
            start += len(piece)
            if self.head is not None:
                self.head += len(piece)
            super().data_received(piece)
            if self.head is not None and self.head >= self.head_bytes and not self.transport.is_closing():
                self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        """Limit the time and bytes of one more request."""
        super().on_message_begin()
        self.head = self.head or 0
        if self.timer is None:
            self._wait(self.head_seconds)

    def on_headers_complete(self) -> None:
        """Leave the request to the application, which limits its body."""
        self.head = None
        self._wait(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Restart the limits for the next request."""
        super().on_message_complete()
        self.head = 0

    def pause_writing(self) -> None:
        """Limit the time in which a client reads nothing."""
        super().pause_writing()
        self._wait(self.idle_seconds)

    def resume_writing(self) -> None:
        """Cancel the time limit of a response that is being read again."""
        self._wait(None)
        super().resume_writing()

    def _wait(self, seconds: float | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None if seconds is None else self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        self.timer = None
        if self.head and self.waits:
            self._refuse(b"408 Request Timeout")
        else:
            self.transport.abort()

    def _refuse(self, status: bytes) -> None:
        self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()

    def _make_room(self) -> None:
        """Close the connection that has been idle longest, or this one if none is idle."""
        waiting = [each for each in self.connections if isinstance(each, BoundedConnection) and each.waits]
        min(waiting, key=lambda each: each.opened, default=self).transport.abort()
        if time.monotonic() - BoundedConnection.warned > 60:
            BoundedConnection.warned = time.monotonic()
            _log.warning("More than %d connections: closing those that have been idle longest.", self.most)
