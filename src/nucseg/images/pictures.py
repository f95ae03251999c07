"""PNG and JPEG pictures."""

import io
import re
import warnings
from contextlib import suppress

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nucseg.core.errors import InputError
from nucseg.images.jpeg import is_coarse
from nucseg.images.planes import ALPHA, COLOURS, GREY, TRANSPARENT, Channel, choose_planes
from nucseg.images.source import ImageSource
from nucseg.images.tiff import orientation_note

PNG_START = b"\x89PNG"
JPEG_START = b"\xff\xd8\xff"

_SAMPLES = {1: (), 2: (GREY, ALPHA), 3: COLOURS, 4: (*COLOURS, ALPHA)}
_ORIENTATION = 274  # the tag of EXIF
_SCAN, _END = 0xDA, 0xD9
_ALONE = (0x01, *range(0xD0, 0xD9))  # JPEG markers without a length
# Within a scan 0xFF is followed by 0, or by the number of a restart; another byte is the next marker.
_NEXT_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)


def open_picture(data: bytes, name: str, channel: Channel = None, *, as_stored: bool = False) -> ImageSource:
    """Open a PNG or a JPEG.

    Args:
        data: The file.
        name: Name for messages.
        channel: As in `choose_planes`.
        as_stored: Whether the indices of a colour table are read, not the colours.

    Raises:
        InputError: It is truncated, holds CMYK colours or several images, or has no such channel.
    """
    notes: tuple[str, ...] = ()
    coarse = False
    if data.startswith(PNG_START):
        image, exif = _png(data, name, as_stored=as_stored)
    elif as_stored:
        raise InputError(f"{name}: is a JPEG, which does not preserve labels; use a TIFF or PNG.")
    else:
        image, exif, end = _jpeg(data, name)
        coarse = is_coarse(data)
        if data.find(JPEG_START, end) >= 0:  # of a camera, which keeps a preview or a second view there
            notes = ("another picture after its end is ignored.",)
    samples = image.shape[2] if image.ndim == 3 else 1
    planes = choose_planes("YXS"[: image.ndim], image.shape, name, channel=channel, channel_names=_SAMPLES[samples])
    if samples == 2 and (image[..., 1] < np.iinfo(image.dtype).max).any():  # of colours, the survey sees it
        notes += (TRANSPARENT,)
    index = planes.index[-1] if image.ndim == 3 else "X"
    image = image[..., index] if isinstance(index, int) else image
    notes += orientation_note(_orientation(exif))
    return ImageSource(
        name, image.shape, image.dtype, lambda window: image[window.slices], None, notes, coarse, planes.channels
    )


def _png(data: bytes, name: str, *, as_stored: bool) -> tuple[NDArray, bytes]:
    """Decode a PNG; return it and its EXIF data."""
    exif, place, kind = b"", 8, b""
    while place + 8 <= len(data) and kind != b"IEND":
        length, kind = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        if kind == b"acTL" and (frames := int.from_bytes(data[place + 8 : place + 12])) > 1:
            raise InputError(f"{name}: holds {frames} images; save the one to use as a separate file.")
        if kind == b"eXIf":
            exif = data[place + 8 : place + 8 + length]
        place += 12 + length
    is_palette = data[25:26] == b"\x03"
    if as_stored and is_palette:
        return np.asarray(Image.open(io.BytesIO(data), formats=["PNG"])), exif
    return imagecodecs.png_decode(data), exif


def _jpeg(data: bytes, name: str) -> tuple[NDArray, bytes, int]:
    """Decode a JPEG; return it, its EXIF data and the position of its end."""
    exif, place, marker = b"", 2, 0
    while marker != _END:
        # The decoder fills the missing end of a truncated file with grey.
        if place + 2 > len(data):
            raise InputError(f"{name}: is truncated: it ends before its image does. Fetch or save it again.")
        if data[place] != 0xFF or data[place + 1] in (0x00, 0xFF):
            place += 1  # padding
            continue
        marker = data[place + 1]
        if marker in _ALONE or marker == _END:
            place += 2
            continue
        length = int.from_bytes(data[place + 2 : place + 4])
        if marker == 0xE1 and data[place + 4 : place + 10] == b"Exif\0\0":
            exif = data[place + 4 : place + 2 + length]
        place += 2 + length
        if marker == _SCAN:
            found = _NEXT_MARKER.search(data, place)
            place = found.start() if found else len(data)
    image = imagecodecs.jpeg_decode(data[:place])
    if image.ndim == 3 and image.shape[2] == 4:
        raise InputError(f"{name}: holds CMYK colours; convert it to RGB.")
    return image, exif, place


def _orientation(exif: bytes) -> object:
    tags = Image.Exif()
    with warnings.catch_warnings(), suppress(Exception):  # damaged tags cost nothing but this note
        warnings.simplefilter("ignore")
        tags.load(exif)
        return tags.get(_ORIENTATION)
    return None
