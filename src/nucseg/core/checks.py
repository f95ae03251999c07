"""Checks of arrays that cross a public boundary."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError


def check_image(image: NDArray, name: str) -> None:
    """Check that an array is an image.

    Args:
        image: An image is `(H, W)` or `(H, W, C)` with C of 1, 3 or 4, of any integer, boolean or float dtype.
        name: Name for the message (a file or a sample id).

    Raises:
        InputError: Its shape or dtype is not allowed, a side is 0, or a pixel is NaN, infinite or beyond float32.
    """
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise InputError(
            f"{name}: shape {image.shape} is not an image; allowed are (rows, columns) and "
            "(rows, columns, channels) with 1, 3 or 4 channels. Choose one plane or channel first."
        )
    if 0 in image.shape:
        raise InputError(f"{name}: the image is empty (shape {image.shape}). Remove the file or write it again.")
    if image.dtype.kind not in "buif":
        raise InputError(f"{name}: dtype {image.dtype} is not allowed; use an integer or a float dtype.")
    # Written so that NaN fails it, too.
    if image.dtype.kind == "f" and not max(image.max(), -image.min()) <= np.finfo(np.float32).max:
        raise InputError(
            f"{name}: contains pixels that are NaN, infinite or beyond float32; replace them (for example with "
            "numpy.nan_to_num and numpy.clip)."
        )


def check_label_image(labels: NDArray, name: str) -> None:
    """Check that an array is a label image.

    Args:
        labels: A label image is `(H, W)` of an integer dtype without negative values; gaps are allowed.
        name: Name for the message.

    Raises:
        InputError: Its shape, dtype or values are not allowed.
    """
    if labels.ndim != 2 or 0 in labels.shape:
        raise InputError(f"{name}: shape {labels.shape} is not a label image; allowed is (rows, columns).")
    if labels.dtype.kind not in "bui":
        raise InputError(f"{name}: dtype {labels.dtype} is not a label image; allowed are whole numbers.")
    if labels.dtype.kind == "i" and labels.min() < 0:
        raise InputError(f"{name}: contains the negative label {labels.min()}; allowed are 0 (background) and 1..N.")


def check_largest_label(labels: NDArray, name: str) -> None:
    """Refuse labels that int32 does not hold.

    Args:
        labels: As `check_label_image` leaves them.
        name: Name for the message.

    Raises:
        InputError: There is one.
    """
    largest = np.iinfo(np.int32).max
    if labels.max() > largest:
        raise InputError(
            f"{name}: contains the label {labels.max()}; the largest allowed is {largest}. Renumber its labels."
        )


def check_unmasked(array: Any, name: str) -> None:
    """Refuse an array of which pixels are masked: they would be read as if they were not.

    Args:
        array: An array, or anything else.
        name: Name for the message.

    Raises:
        InputError: It has masked pixels.
    """
    if np.ma.is_masked(array):
        count = np.ma.count_masked(array)
        raise InputError(f"{name}: is a masked array with {count} masked pixels; fill them first (`.filled(value)`).")
