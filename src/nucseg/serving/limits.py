"""The size of an image and the cost of decoding it, read from its header before anything is decoded."""

import io
import math
from collections import Counter
from dataclasses import dataclass
from typing import IO, BinaryIO

import tifffile

from nucseg.core.errors import InputError
from nucseg.core.streams import without_file
from nucseg.images.tiff import TIFF_STARTS, WHOLE_BYTES
from nucseg.serving.errors import TooLargeError

LONGEST_SIDE = 1_000_000
"""Pixels of a side: what libpng writes, as which masks are given."""

DECODE_BYTES = 1 << 30
"""Bytes of memory that decoding one image may take, where nothing else is said."""

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel as stored, by colour type
_MAX_PNG_CHUNKS = 2**18
_MAX_PAGES = 1000
_MAX_CHUNKS = 2**17  # strips and tiles: each one costs time, however small
_MAX_PIXEL_BYTES = 32  # four channels of float64
_BYTES_PER_PIXEL = 16  # four channels of float32
_HEADER_BYTES = 4096  # of a JPEG; they are read again if its frame header comes later
_MAX_MARKERS = 64  # of a JPEG before its frame header; files have less than ten
_BAND_PIXELS = 2**23  # as `ImageSource.bands` reads them
_CODECS = ("NONE", "LZW", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "LZMA", "ZSTD")
# Their content has the size that the TIFF declares; other codecs declare their own size.
_AS_DECLARED = {tifffile.COMPRESSION[name] for name in _CODECS}


@dataclass(frozen=True)
class Cost:
    """The size of a decoded image, and an upper limit of the cost of decoding it.

    Attributes:
        pixels: Rows times columns, of all planes or of the largest tile.
        size: Bytes of the decoded planes.
        memory: Bytes of memory while it is decoded.
    """

    pixels: int
    size: int
    memory: int

    @property
    def seconds(self) -> int:
        """Seconds of processor time that decoding may take; it is usually ten times as fast or more."""
        return 10 + self.size // 10_000_000


def check_size(stream: IO[bytes], max_pixels: int, name: str = "image", *, max_memory: int = DECODE_BYTES) -> Cost:
    """Refuse an image that is too large, or would be when decoded.

    Args:
        stream: The image file, seekable.
        max_pixels: Maximum number of pixels (rows times columns), each of up to 16 bytes over all planes.
        name: Name for messages.
        max_memory: Maximum memory for decoding it, in bytes.

    Returns:
        The cost.

    Raises:
        TooLargeError: It is too large.
        InputError: It is not a TIFF, PNG or JPEG, or its header cannot be read.
    """
    try:
        cost = _cost(stream)
    except TooLargeError as error:
        raise TooLargeError(f"{name}: {error}") from error
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except Exception as error:  # with a damaged header the libraries may raise any exception
        raise InputError(f"{name}: its header cannot be read. The file is damaged; save it again.") from error
    finally:
        stream.seek(0)
    if cost.pixels > max_pixels or cost.size > max_pixels * _BYTES_PER_PIXEL:
        raise TooLargeError(
            f"{name}: has {cost.pixels} pixels ({cost.size} bytes); at most {max_pixels} are allowed. Crop or "
            "shrink it."
        )
    if cost.memory > max_memory:
        raise TooLargeError(
            f"{name}: takes {cost.memory >> 20} MB of memory to decode; at most {max_memory >> 20} MB are allowed. "
            "Save it as a TIFF with tiles, or crop it."
        )
    return cost


def file_kind(stream: IO[bytes]) -> str:
    """Return the format that a file begins like: PNG, JPEG or TIFF, or the word "file" for any other."""
    start = stream.read(8)
    stream.seek(0)
    if start == _PNG:
        return "PNG"
    return "JPEG" if start.startswith(_JPEG) else "TIFF" if start[:4] in TIFF_STARTS else "file"


def _cost(stream: IO[bytes]) -> Cost:
    """Compute the cost that the header of a file declares; the position of the stream afterwards is undefined."""
    length = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    start = stream.read(8)
    stream.seek(0)
    if start[:4] in TIFF_STARTS:
        return _tiff(without_file(stream), length)
    if start == _PNG:
        return _png(stream, length)
    if start.startswith(_JPEG):
        rows, columns, channels = _jpeg_frame(stream, 0, length)
        return _whole(rows, columns, channels, length)
    raise InputError(
        f"is {'empty' if not length else 'not a TIFF, PNG or JPEG'}; save it again in one of these formats "
        "(Fiji reads the vendors' formats)."
    )


def _whole(rows: int, columns: int, pixel_bytes: int, length: int) -> Cost:
    """Compute the cost of an image that is decoded as a whole."""
    _check_sides(rows, columns)
    size = rows * columns * pixel_bytes
    # The file and a part of it, the pixels, and a copy of them or the buffers of a progressive JPEG.
    return Cost(rows * columns, size, 2 * length + 2 * size)


def _check_sides(*sides: int) -> None:
    if min(sides) < 1:
        raise InputError("has a side of 0 pixels. The file is damaged; save it again.")
    if max(sides) > LONGEST_SIDE:
        raise TooLargeError(
            f"has a side of {max(sides)} pixels; at most {LONGEST_SIDE} are allowed. Crop or shrink it."
        )


def _png(stream: IO[bytes], length: int) -> Cost:
    header = stream.read(26)  # 8 bytes of signature, length and kind of the first chunk, then its content
    columns, rows = int.from_bytes(header[16:20]), int.from_bytes(header[20:24])
    depth, samples = header[24], _PNG_SAMPLES[header[25]]
    raw = rows * (columns * depth * samples // 8 + 2)
    sizes = _png_chunks(stream)
    # Incompressible data grows a little, and interlaced images have more rows; anything beyond that is not pixels.
    if sizes[b"IDAT"] > raw * 1.1 + 4096:
        raise InputError("holds more data than its pixels need. The file is damaged; save it again.")
    # A palette is decoded to its colours, and transparency to one more sample.
    decoded = min((3 if sizes[b"PLTE"] else samples) + bool(sizes[b"tRNS"]), 4)
    return _whole(rows, columns, decoded * (2 if depth > 8 else 1), length)


def _png_chunks(stream: IO[bytes]) -> Counter[bytes]:
    """Count the bytes of each kind of chunk in a PNG."""
    stream.seek(len(_PNG))
    sizes = Counter[bytes]()
    for _ in range(_MAX_PNG_CHUNKS):
        head = stream.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return sizes
        sizes[head[4:]] += int.from_bytes(head[:4])
        stream.seek(int.from_bytes(head[:4]) + 4, io.SEEK_CUR)
    raise TooLargeError(f"has more than the allowed {_MAX_PNG_CHUNKS} chunks. Save it again.")


def _tiff(stream: BinaryIO, length: int) -> Cost:
    """Compute the cost of every page, since a decoder may join them."""
    pixels = size = chunks = largest = plane = band = 0
    with tifffile.TiffFile(stream) as tiff:
        for number, page in enumerate(tiff.pages):
            if number == _MAX_PAGES:
                raise TooLargeError(
                    f"holds more than the allowed {_MAX_PAGES} pages. Save the one to use as a separate file."
                )
            described = page.aspage()
            _check_numbers(described)
            samples = max(described.samplesperpixel, 3 if described.photometric == tifffile.PHOTOMETRIC.PALETTE else 1)
            pixel_bytes = samples * _item_bytes(described)
            if pixel_bytes > _MAX_PIXEL_BYTES:
                raise TooLargeError(
                    f"has {pixel_bytes} bytes per pixel; at most {_MAX_PIXEL_BYTES} are allowed. Save it as grey or "
                    "RGB only."
                )
            # A tile is decoded whole, however small the image that it is part of.
            chunk = math.prod(described.chunks)
            chunks += math.prod(described.chunked)
            if chunks > _MAX_CHUNKS:
                raise TooLargeError(
                    f"is cut into more than the allowed {_MAX_CHUNKS} strips and tiles. Save it with larger ones."
                )
            pixels = max(
                pixels,
                described.imagewidth * described.imagelength * described.imagedepth,
                chunk // (described.samplesperpixel if described.planarconfig == 1 else 1),
            )
            largest = max(largest, chunk * _item_bytes(described))
            band = max(band, max(_BAND_PIXELS, described.imagewidth) * pixel_bytes)
            of_page = max(math.prod(described.shape) // described.samplesperpixel * pixel_bytes, largest)
            plane = max(plane, of_page)
            size += of_page
            if described.compression == tifffile.COMPRESSION.JPEG:
                pixels = max(pixels, _largest_frame(stream, described, length))
            elif described.compression not in _AS_DECLARED:
                codec = tifffile.COMPRESSION(described.compression).name
                raise InputError(f"has the compression {codec}, which is not accepted. Use deflate, LZW or none.")
    if not pixels:
        raise InputError("holds no image. The file is damaged; save it again.")
    if size <= WHOLE_BYTES or 2 * largest > plane:  # as `open_tiff` decides
        return Cost(pixels, size, length + 2 * size)
    return Cost(pixels, size, min(length, tifffile.TIFF.BUFFERSIZE) + 4 * band + 4 * largest)


def _item_bytes(page: tifffile.TiffPage) -> int:
    return page.dtype.itemsize if page.dtype else 8


def _check_numbers(page: tifffile.TiffPage) -> None:
    """Refuse tags with several values where one is expected: multiplying them would repeat values."""
    numbers = (
        page.imagewidth,
        page.imagelength,
        page.imagedepth,
        page.samplesperpixel,
        *page.chunks,
        *((page.tiledepth,) if page.is_tiled else (page.rowsperstrip,)),
    )
    if not all(isinstance(number, int) for number in numbers):
        raise InputError("its header cannot be read. The file is damaged; save it again.")
    _check_sides(*numbers[:3])
    if min(numbers) < 1:
        raise InputError("has tiles or strips without pixels. The file is damaged; save it again.")


def _largest_frame(stream: IO[bytes], page: tifffile.TiffPage, length: int) -> int:
    """Find the largest number of pixels that a JPEG within a TIFF itself declares."""
    if page.jpegheader is not None:  # of a vendor's format, whose strips have no header
        rows, columns, _ = _jpeg_frame(io.BytesIO(page.jpegheader), 0, len(page.jpegheader))
        return rows * columns
    most = 0
    # Several may share one place, and a sparse file leaves some out.
    for offset, count in set(zip(page.dataoffsets, page.databytecounts, strict=True)):
        if count:
            rows, columns, _ = _jpeg_frame(stream, offset, min(offset + count, length))
            most = max(most, rows * columns)
    return most


def _jpeg_frame(stream: IO[bytes], start: int, end: int) -> tuple[int, int, int]:
    """Read rows, columns and channels from the frame header of a JPEG, as libjpeg finds it.

    Args:
        stream: The file that contains it.
        start: Its first byte.
        end: Position after its last byte.

    Raises:
        InputError: There is none, or it is neither 8-bit baseline nor progressive.
    """
    stream.seek(start)
    data = stream.read(min(_HEADER_BYTES, end - start))
    place = 2  # after the marker of its start
    for _ in range(_MAX_MARKERS):
        if place + 64 > len(data) and start + len(data) < end:
            start, place = start + place, 0
            stream.seek(start)
            data = stream.read(min(_HEADER_BYTES, end - start))
        if data[place : place + 1] != b"\xff":
            break
        while data[place : place + 1] == b"\xff":  # any number of them fill the space before a marker
            place += 1
        marker = data[place] if place < len(data) else 0
        place += 1
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # markers without a length
            continue
        segment = int.from_bytes(data[place : place + 2])
        is_frame = 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)
        if marker in (0xC0, 0xC1, 0xC2) and data[place + 2 : place + 3] == b"\x08" and len(data) >= place + 8:
            rows, columns = int.from_bytes(data[place + 3 : place + 5]), int.from_bytes(data[place + 5 : place + 7])
            _check_sides(rows, columns)
            return rows, columns, data[place + 7]
        if is_frame or segment < 2 or marker in (0xD8, 0xD9, 0xDA):
            break
        place += segment
    raise InputError("holds a JPEG of unknown size; allowed are 8 bits, baseline or progressive. Save it again.")
