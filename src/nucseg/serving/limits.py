"""How large an image is, from its header: before anything is decoded."""

import io
import math
from typing import IO, BinaryIO

import tifffile
from PIL import Image

from nucseg.core.errors import InputError
from nucseg.core.streams import without_file
from nucseg.images.tiff import TIFF_STARTS
from nucseg.serving.errors import TooLargeError

_PNG_HEADER = 24
_MAX_PAGES = 1000
_CODECS = ("NONE", "LZW", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "LZMA", "ZSTD")
_BYTES_PER_PIXEL = 16  # four channels of float32
# What they hold is as large as the TIFF says; other codecs say a size of their own.
_AS_DECLARED = {tifffile.COMPRESSION[name] for name in _CODECS}


def check_size(stream: IO[bytes], max_pixels: int, name: str = "image") -> None:
    """Refuse an image that would be too large once it is decoded.

    Args:
        stream: TIFF, PNG or JPEG, seekable; what is something else is left to the decoder to refuse.
        max_pixels: Rows times columns that are allowed, of up to 16 bytes over all planes.
        name: What to call it in messages.

    Raises:
        TooLargeError: It is too large.
        InputError: Its header cannot be read.
    """
    try:
        pixels, size = _declared(stream)
    except TooLargeError as error:
        raise TooLargeError(f"{name}: {error} Save the one to use by itself.") from error
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except Exception as error:  # a damaged header meets the libraries with whatever exception
        raise InputError(f"{name}: its header cannot be read. The file is damaged; save it again.") from error
    finally:
        stream.seek(0)
    if pixels > max_pixels or size > max_pixels * _BYTES_PER_PIXEL:
        raise TooLargeError(f"{name}: has {pixels} pixels ({size} bytes); allowed are {max_pixels}. Cut or shrink it.")


def _declared(stream: IO[bytes]) -> tuple[int, int]:
    """Give pixels over all planes, and bytes, as the header declares them; zeros where the format is unknown."""
    stream.seek(0)
    start = stream.read(_PNG_HEADER)
    stream.seek(0)
    if start[:4] in TIFF_STARTS:
        return _declared_tiff(without_file(stream))
    if start.startswith(b"\x89PNG"):
        # Not by Pillow, which reads on until the pixels begin.
        width, height = int.from_bytes(start[16:20]), int.from_bytes(start[20:24])
        return width * height, width * height * 8
    if start.startswith(b"\xff\xd8\xff"):
        try:
            with Image.open(without_file(stream), formats=["JPEG"]) as image:
                return image.width * image.height, image.width * image.height * 4
        except Image.DecompressionBombError:
            return 2**63, 2**63
    return 0, 0


def _declared_tiff(stream: BinaryIO) -> tuple[int, int]:
    """Count every page, for a decoder may put them together."""
    pixels = size = 0
    with tifffile.TiffFile(stream) as tiff:
        for number, page in enumerate(tiff.pages):
            if number == _MAX_PAGES:
                raise TooLargeError(f"it holds more than the allowed {_MAX_PAGES} pages.")
            described = page.aspage()
            whole = described.imagewidth * described.imagelength * described.imagedepth
            # A tile is decoded whole, however small the image that it is part of.
            chunk = math.prod(described.chunks)
            pixels = max(pixels, whole, chunk // described.samplesperpixel)
            size += max(math.prod(described.shape), chunk) * (described.dtype.itemsize if described.dtype else 1)
            if described.compression == tifffile.COMPRESSION.JPEG:
                pixels = max([pixels, *(_jpeg_pixels(stream, offset) for offset in described.dataoffsets)])
            elif described.compression not in _AS_DECLARED:
                codec = tifffile.COMPRESSION(described.compression).name
                raise InputError(f"its compression {codec} is not accepted. Save it with deflate, LZW or none.")
    return pixels, size


def _jpeg_pixels(stream: IO[bytes], offset: int) -> int:
    """Give rows times columns that a JPEG within a TIFF declares by itself; 0 where it declares none."""
    stream.seek(offset + 2)  # behind the mark of its start
    while len(head := stream.read(4)) == 4 and head[0] == 0xFF:
        length = int.from_bytes(head[2:])
        if 0xC0 <= head[1] <= 0xCF and head[1] not in (0xC4, 0xC8, 0xCC):
            frame = stream.read(5)
            return int.from_bytes(frame[1:3]) * int.from_bytes(frame[3:5])
        stream.seek(length - 2, io.SEEK_CUR)
    return 0
