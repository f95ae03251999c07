"""Read TIFF, PNG and JPEG images and label images; write them as TIFF."""

from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from nucseg.core.checks import check_image, check_label_image
from nucseg.core.errors import InputError
from nucseg.core.files import atomic_file
from nucseg.core.window import Window
from nucseg.images.tiff import TIFF_STARTS, open_tiff

_PNG = b"\x89PNG"
_JPEG = b"\xff\xd8\xff"


def read_image(path: Path) -> NDArray:
    """Read one image file; see `decode_image`.

    Raises:
        InputError: The file is missing, unreadable or not one image; the message names it.
    """
    with _opened(path) as stream:
        return decode_image(stream, str(path))


def decode_image(stream: BinaryIO, name: str) -> NDArray:
    """Read one image from a seekable stream (an open file, an entry of a zip, an upload), from its start.

    The format is told by the content, not by a file name.

    Args:
        stream: TIFF (any compression, ImageJ and OME too), PNG or JPEG.
        name: What to call it in messages.

    Returns:
        `(H, W)` or `(H, W, C)` with C of 1, 3 or 4, dtype and values as stored. Channel-first files with 3 or 4
        channels are turned; a TIFF whose 0 is white is inverted; a grey image's alpha is dropped. The colour table of
        a TIFF is ignored, for in microscopy it says how to display intensities; that of a PNG is applied.

    Raises:
        InputError: Unreadable, several planes, no pixels, NaN or infinite values, or a dtype that is no image's.
    """
    image = _decode(stream, name)
    check_image(image, name)
    return image


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
        stream: TIFF or PNG of an integer dtype.
        name: What to call it in messages.

    Returns:
        `(H, W)` int32, values as stored (so gaps stay).

    Raises:
        InputError: Unreadable, not `(H, W)`, not an integer dtype, negative, or above the largest int32.
    """
    labels = _decode(stream, name, as_stored=True)
    if labels.ndim == 3 and labels.shape[2] == 1:
        labels = labels[..., 0]
    _check_labels(labels, name)
    return labels.astype(np.int32)


def write_image(path: Path, image: NDArray) -> None:
    """Write `(H, W)` or `(H, W, C)` as a zlib-compressed TIFF; the file appears whole or not at all.

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
    largest = np.iinfo(np.int32).max
    if labels.max() > largest:
        raise InputError(f"{name}: holds the label {labels.max()}; allowed is up to {largest}. Number it anew.")


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}). Check the path and its permissions.") from error


def _decode(stream: BinaryIO, name: str, *, as_stored: bool = False) -> NDArray:
    stream.seek(0)
    start = stream.read(4)
    stream.seek(0)
    try:
        if start in TIFF_STARTS:
            source = open_tiff(stream, name, as_stored=as_stored)
            return source.read(Window.whole(source.shape))
        if start == _PNG:
            image = imagecodecs.png_decode(stream.read())
        elif start.startswith(_JPEG):
            image = _decode_jpeg(stream.read(), name)
        else:
            raise InputError(
                f"{name}: is {'empty' if not start else 'not a TIFF, PNG or JPEG'}; "
                "save it again in one of these formats (Fiji reads the vendors' formats)."
            )
    except InputError:
        raise
    except Exception as error:  # a decoder meets a broken file with whatever exception
        raise InputError(f"{name}: cannot be read ({error}). The file is damaged; fetch or save it again.") from error
    return _without_grey_alpha(image)


def _decode_jpeg(data: bytes, name: str) -> NDArray:
    # The decoder fills the missing end of a cut file with grey: look for the end of image after the last scan.
    if data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        raise InputError(f"{name}: ends before its image does. Fetch or save it again.")
    image = imagecodecs.jpeg_decode(data)
    if image.ndim == 3 and image.shape[2] == 4:
        raise InputError(f"{name}: holds CMYK colours; convert it to RGB.")
    return image


def _without_grey_alpha(image: NDArray) -> NDArray:
    return image[..., 0] if image.ndim == 3 and image.shape[2] == 2 else image
