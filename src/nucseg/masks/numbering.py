"""Whether a label image gives each nucleus a number of its own."""

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from nucseg.core.checks import check_largest_label
from nucseg.core.errors import InputError

_CRUMB = 0.1  # of a label's largest piece: a smaller one may be a slip of the brush


def count_pieces(labels: NDArray[np.int32], smallest: float) -> tuple[NDArray[np.int32], NDArray[np.intp], int]:
    """Count the 8-connected pieces of each label: pixels that touch at a corner are common in what is drawn by hand.

    Args:
        labels: `(H, W)`.
        smallest: Part of a label's largest piece below which another does not count.

    Returns:
        The labels that occur, `(n,)`, the number of pieces of each, `(n,)`, and that of all pieces, however small.
    """
    parts = label(labels, background=0, connectivity=2)
    areas = np.bincount(parts.ravel())
    label_of = np.zeros(len(areas), np.int32)
    label_of[parts] = labels
    values, number = np.unique(label_of[1:], return_inverse=True)
    largest = np.zeros(len(values))
    np.maximum.at(largest, number, areas[1:])
    counting = areas[1:] >= smallest * largest[number]
    return values, np.bincount(number[counting], minlength=len(values)), len(number)


def numbered_background(labels: NDArray[np.int32]) -> int:
    """Return the label that a background has instead of 0: one at all four borders, or of most of the image.

    Args:
        labels: `(H, W)`.

    Returns:
        0 if some pixel is 0, or if there is none such: an image may be full of nuclei.
    """
    if not labels.all():
        return 0
    values, counts = np.unique(labels, return_counts=True)
    if 2 * counts.max() > labels.size:
        return int(values[counts.argmax()])
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    return min(set.intersection(*(set(side.tolist()) for side in sides)), default=0)


def check_numbered(labels: NDArray, name: str) -> None:
    """Refuse a label image that is a mask, another image, or has no background, although its dtype is allowed.

    Args:
        labels: As `check_label_image` leaves it.
        name: Name for the message.

    Raises:
        InputError: It is of bool, has one label in several pieces, mostly labels in several pieces or of single pixels,
            a label above the largest int32, or a label in the place of the background.
    """
    remedy = "number its pieces first, for example with scipy.ndimage.label."
    if labels.dtype == bool:
        raise InputError(f"{name}: is a mask (bool), which does not tell nuclei apart; {remedy}")
    check_largest_label(labels, name)
    labels = labels.astype(np.int32, copy=False)
    numbers, pieces, count = count_pieces(labels, _CRUMB)
    if len(numbers) == 1:
        if count > 1:
            raise InputError(f"{name}: is a mask: its only label, {numbers[0]}, has {count} separate pieces; {remedy}")
        return
    if 2 * np.count_nonzero(pieces > 1) > len(numbers):
        raise InputError(
            f"{name}: is no label image: {np.count_nonzero(pieces > 1)} of {len(numbers)} labels have several separate "
            "pieces; are image and labels swapped?"
        )
    left, right = labels[:, :-1], labels[:, 1:]
    if 2 * np.count_nonzero((left != right) & (left > 0) & (right > 0)) > np.count_nonzero(labels):
        # Of 16 bits, a small image shows most of its values once.
        raise InputError(
            f"{name}: is no label image: most neighbouring pixels have different labels; are image and labels swapped?"
        )
    if background := numbered_background(labels):
        raise InputError(
            f"{name}: has no pixel of 0, the background, and its label {background} touches all four borders or covers "
            "most of the image; set the background to 0."
        )
