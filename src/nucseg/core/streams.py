"""Streams of bytes that libraries cannot mistake for files."""

import io
from typing import IO, Any, BinaryIO, cast


class _WithoutFile(io.RawIOBase):
    """A stream that hides the file beneath it.

    Args:
        stream: A seekable stream; closing this object leaves it open.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readinto(self, buffer: Any, /) -> int:
        """Read into existing memory."""
        return int(self._stream.readinto(buffer))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move as any stream does."""
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        """Return the position as any stream does."""
        return int(self._stream.tell())

    def readable(self) -> bool:
        """Return True: it can be read."""
        return True

    def seekable(self) -> bool:
        """Return True: it can be sought."""
        return True


def without_file(stream: IO[bytes]) -> BinaryIO:
    """Hide that a stream is a file, so that no decoder looks for other files beside it."""
    return cast("BinaryIO", _WithoutFile(stream))
