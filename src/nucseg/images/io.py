"""Read TIFF, PNG and JPEG images and label images; write them as TIFF."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from nucseg.core.checks import check_image, check_label_image, check_largest_label
from nucseg.core.errors import InputError
from nucseg.core.files import atomic_file
from nucseg.core.window import Window
from nucseg.images.content import Content, reading
from nucseg.images.pictures import JPEG_START, PNG_START, open_picture
from nucseg.images.places import check_file
from nucseg.images.planes import Channel
from nucseg.images.scenes import Scene, choose_scene
from nucseg.images.source import ImageSource
from nucseg.images.tiff import TIFF_STARTS, open_tiff

logger = logging.getLogger(__name__)


def read_image(path: Path) -> NDArray:
    """Read one image file; see `decode_image`.

    Raises:
        InputError: The file is missing, unreadable or not one image; the message names it.
    """
    with _opened(path) as stream:
        return decode_image(stream, str(path))


def decode_image(stream: BinaryIO, name: str) -> NDArray:
    """Read one image from a seekable stream (an open file, an entry of a zip, an upload), from its start.

    The format is recognised by the content, not by a file name.

    Args:
        stream: TIFF (any compression, ImageJ and OME too), PNG or JPEG.
        name: Name for messages.

    Returns:
        `(H, W)`, or `(H, W, C)` with C of 3 or 4 if the file declares that it is in colour. Dtype and values are as
        stored, except that a TIFF whose 0 is white is inverted, and YCbCr and the colour table of a picture become RGB.

    Raises:
        InputError: Unreadable, several images, planes or channels, no pixels, NaN or infinite values, a dtype that is
            not allowed, or a colour model that is not supported.
    """
    source = open_stream(stream, name)
    for note in source.notes:
        logger.warning("%s: %s", name, note)
    image = _whole(source)
    check_image(image, name)
    return image


def open_stream(stream: BinaryIO, name: str, channel: Channel = None, *, as_stored: bool = False) -> ImageSource:
    """Open the one image, or a channel of it, in a seekable stream; see `stream_content`."""
    return stream_content(stream, name, as_stored=as_stored).image(channel)


def stream_content(
    stream: BinaryIO, name: str, scene: Scene = None, *, path: Path | None = None, as_stored: bool = False
) -> Content:
    """Open what a seekable stream holds, from its start; the pixels of a large TIFF are read when they are needed.

    Args:
        stream: TIFF, PNG or JPEG; that of a TIFF stays open as long as the content is used.
        name: Name for messages.
        scene: As in `nucseg.images.scenes.choose_scene`.
        path: Path of the stream if it is a file on this machine.
        as_stored: Whether values are left as stored, neither inverted nor converted to colours, as labels need it.

    Raises:
        InputError: It is not one image.
    """
    stream.seek(0)
    start = stream.read(4)
    stream.seek(0)
    if start in TIFF_STARTS:
        with reading(name):
            content = open_tiff(path or stream, name, scene, as_stored=as_stored)
    elif start == PNG_START or start.startswith(JPEG_START):
        choose_scene(scene, [""], name)
        data = stream.read()
        content = Content(name, {}, lambda channel, _: open_picture(data, name, channel, as_stored=as_stored))
    elif not start:
        raise InputError(f"{name}: is empty (it has no bytes); fetch or save it again.")
    else:
        raise InputError(
            f"{name}: is not a TIFF, PNG or JPEG; save it again in one of these formats (Fiji reads the vendors' "
            "formats)."
        )

    def source(channel: Channel, plane: Mapping[str, int]) -> ImageSource:
        with reading(name):
            return content.source(channel, plane)

    return replace(content, source=source)


def read_labels(path: Path) -> NDArray[np.int32]:
    """Read one label image file; see `decode_labels`.

    Raises:
        InputError: The file is missing, unreadable or not a label image; the message names it.
    """
    with _opened(path) as stream:
        return decode_labels(stream, str(path))


def decode_labels(stream: BinaryIO, name: str) -> NDArray[np.int32]:
    """Read one label image from a seekable stream.

    Args:
        stream: TIFF or PNG of an integer dtype, or of floats that are whole numbers.
        name: Name for messages.

    Returns:
        `(H, W)` int32, values as stored (so gaps stay).

    Raises:
        InputError: Unreadable, not `(H, W)`, not of whole numbers, negative, or above the largest int32.
    """
    labels = _whole(open_stream(stream, name, as_stored=True))
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and np.array_equal(labels, np.rint(labels)):
        labels = labels.astype(np.int64)  # some plugins of Fiji save label images as floats
    _check_labels(labels, name)
    return labels.astype(np.int32)


def write_image(path: Path, image: NDArray) -> None:
    """Write `(H, W)` or `(H, W, C)` as a zlib-compressed TIFF; the file appears complete or not at all.

    Raises:
        InputError: It is not an image.
        StorageError: The disk is full, read-only or not permitted.
    """
    check_image(image, str(path))
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    photometric = "rgb" if image.ndim == 3 else "minisblack"
    with atomic_file(path) as temporary:
        tifffile.imwrite(temporary, image, compression="zlib", photometric=photometric, metadata=None)


def write_labels(path: Path, labels: NDArray) -> None:
    """Write a label image `(H, W)` as a zlib-compressed TIFF: uint16, or uint32 where a label is above 65,535.

    Raises:
        InputError: It is not a label image.
        StorageError: The disk is full, read-only or not permitted.
    """
    _check_labels(labels, str(path))
    dtype = np.uint16 if labels.max() <= np.iinfo(np.uint16).max else np.uint32
    write_image(path, labels.astype(dtype))


def _check_labels(labels: NDArray, name: str) -> None:
    check_label_image(labels, name)
    check_largest_label(labels, name)


def _opened(path: Path) -> BinaryIO:
    check_file(path, str(path))
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}). Check the path and its permissions.") from error


def _whole(source: ImageSource) -> NDArray:
    with reading(source.name):
        image = source.read(Window.whole(source.shape))
        source.check_whole()
        return image
