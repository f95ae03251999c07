"""A grey image as PNG, written band by band: libraries want all of it in memory."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from nucseg.core.files import atomic_file
from nucseg.core.window import Window

_BAND = 1024  # rows
_LEVEL = 1  # of compression: masks have long runs


def write_grey_png(path: Path, shape: tuple[int, int], read: Callable[[Window], NDArray[np.uint8]]) -> None:
    """Write an image `(H, W)` of 8 bits.

    Args:
        path: The file.
        shape: (rows, columns).
        read: Returns the pixels of a window.

    Raises:
        StorageError: It cannot be written.
    """
    height, width = shape
    compressor = zlib.compressobj(_LEVEL)
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        for top in range(0, height, _BAND):
            rows = read(Window(top, 0, min(top + _BAND, height), width))
            # Each row begins with the number of its filter: none.
            _chunk(file, b"IDAT", compressor.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes()))
        _chunk(file, b"IDAT", compressor.flush())
        _chunk(file, b"IEND", b"")


def _chunk(file: IO[bytes], kind: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content)))
