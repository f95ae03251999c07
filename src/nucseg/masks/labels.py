"""Label images: built from masks, renumbered, cleaned and measured."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label

from nucseg.core.errors import InputError


def labels_from_masks(masks: Iterable[NDArray], shape: tuple[int, int]) -> tuple[NDArray[np.int32], int]:
    """Join one mask per nucleus into a label image; see `labels_from_pixels`.

    Args:
        masks: `(H, W)` each, bool or any dtype whose non-zero pixels are the nucleus; taken one at a time.
        shape: `(H, W)` of the result.

    Returns:
        The label image `(H, W)` int32, and the number of pixels that more than one mask claimed.

    Raises:
        InputError: A mask has another shape.
    """
    nuclei = []
    for mask in masks:
        if mask.shape != shape:
            raise InputError(f"A mask has shape {mask.shape}; allowed is the shape of its image, {shape}.")
        nuclei.append(np.flatnonzero(mask))
    return labels_from_pixels(nuclei, shape)


def labels_from_pixels(nuclei: Iterable[NDArray[np.intp]], shape: tuple[int, int]) -> tuple[NDArray[np.int32], int]:
    """Join the pixels of each nucleus into a label image; the result does not depend on the order of the nuclei.

    A pixel that several nuclei claim belongs to the smallest of them (so that a small nucleus in front of a large one
    survives); among nuclei of equal size, to the one whose first pixel comes first in row-major order. Nuclei are
    numbered by their first pixel in row-major order. Those that are empty, or have lost all pixels, get no number.

    Args:
        nuclei: Ascending indices of pixels in the flattened image.
        shape: `(H, W)` of the result.

    Returns:
        The label image `(H, W)` int32, and the number of pixels that more than one nucleus claimed.
    """
    claims = np.zeros(shape, np.uint16)
    pixels_of = [pixels for pixels in nuclei if pixels.size]
    for pixels in pixels_of:
        claims.ravel()[pixels] += 1
    pixels_of.sort(key=lambda pixels: (pixels[0], pixels.size, pixels.tobytes()))
    labels = np.zeros(shape, np.int32)
    for number in sorted(range(len(pixels_of)), key=lambda n: (pixels_of[n].size, n), reverse=True):
        labels.ravel()[pixels_of[number]] = number + 1
    return relabel(labels), int(np.count_nonzero(claims > 1))


def relabel(labels: NDArray) -> NDArray[np.int32]:
    """Renumber the labels of `(H, W)`, 1..N without gaps and in the same order; 0 stays 0.

    Raises:
        InputError: A label is negative.
    """
    if labels.size == 0 or labels.dtype == bool:
        return labels.astype(np.int32)
    if labels.min() < 0:
        raise InputError(f"The label image holds {labels.min()}; allowed are 0 (background) and positive labels.")
    if labels.max() > max(labels.size, 2**20):
        # A lookup table up to such a label would be larger than the image: sort instead.
        values, inverse = np.unique(labels, return_inverse=True)
        return (inverse.reshape(labels.shape) + (values[0] != 0)).astype(np.int32)
    present = np.zeros(int(labels.max()) + 1, bool)
    present[labels] = True
    present[0] = False
    numbers = np.where(present, np.cumsum(present), 0).astype(np.int32)
    return numbers[labels]


def visible_nuclei(labels: NDArray[np.int32], min_pixels: int = 1) -> NDArray[np.int32]:
    """Renumber the connected parts of all nuclei and remove the smallest.

    This is needed in a patch: a mirrored border repeats a nucleus, and a cut may leave two ends of a bent one. Each
    part becomes a nucleus.

    Args:
        labels: Label image `(H, W)` int32, gaps allowed.
        min_pixels: Parts with fewer pixels become background.

    Returns:
        Label image `(H, W)` int32 without gaps.
    """
    parts = label(labels, connectivity=2)
    keep = np.bincount(parts.ravel()) >= min_pixels
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32)[parts]


def fill_label_holes(labels: NDArray) -> NDArray:
    """Fill background that one nucleus encloses (4-connected) with that nucleus; `(H, W)` in and out, same dtype.

    A nucleus inside another one's hole stays.
    """
    filled = labels.copy()
    for number, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is not None:
            holes = holes_of(labels[window] == number) & (labels[window] == 0)
            filled[window][holes] = number
    return filled


def keep_largest_nuclei(labels: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Keep the `count` largest nuclei of a label image without gaps, numbered anew; of equal ones the first."""
    areas = np.bincount(labels.ravel())[1:]
    if len(areas) <= count:
        return labels
    dropped = np.argsort(-areas, kind="stable")[count:] + 1
    return relabel(np.where(np.isin(labels, dropped), 0, labels))


def keep_largest_pieces(labels: NDArray) -> NDArray:
    """Remove all but the largest piece of each nucleus, see `largest_piece`; `(H, W)` in and out, same dtype."""
    kept = labels.copy()
    for number, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is not None:
            mask = labels[window] == number
            kept[window][mask & ~largest_piece(mask)] = 0
    return kept


def make_whole(labels: NDArray) -> NDArray:
    """Keep one piece of each nucleus, without holes: its largest, filled; `(H, W)` in and out, same dtype."""
    return fill_label_holes(keep_largest_pieces(labels))


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the largest 4-connected piece of a mask `(h, w)`; among equal ones, the first in row-major order.

    Returns:
        The piece; the mask itself if it has at most one.
    """
    if not mask.any():
        return mask
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    if count == 2:  # the background, which may have no pixel, is counted
        return mask
    sizes = np.bincount(pieces[mask], minlength=count)
    first = np.argmax(sizes[pieces[mask]] == sizes.max())
    piece: NDArray[np.bool_] = pieces == pieces[mask][first]
    return piece


def holes_of(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the pixels that a mask `(h, w)` encloses (4-connected) but does not contain."""
    around = cv2.copyMakeBorder((~mask).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    count, pieces = cv2.connectedComponents(around, connectivity=4)
    if count == 2:
        return np.zeros_like(mask)
    holes: NDArray[np.bool_] = (pieces != pieces[0, 0])[1:-1, 1:-1] & ~mask
    return holes


def diameters(labels: NDArray) -> NDArray[np.float64]:
    """Compute the diameter in pixels of the circle of each nucleus's area, `(N,)` float64, by ascending label."""
    areas = np.bincount(labels.ravel())[1:]
    return 2 * np.sqrt(areas[areas > 0] / np.pi)


def median_diameter(labels: NDArray) -> float | None:
    """Compute the median of `diameters`, or None without nuclei."""
    found = diameters(labels)
    return float(np.median(found)) if found.size else None
