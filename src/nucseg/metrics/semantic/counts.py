"""What is counted of the class map of one image; scores follow from sums of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nucseg.core.types import VOID

_EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Hits:
    """Things in truth and prediction, and how many of them the other has as well.

    Attributes:
        true: In the truth.
        found: Of these, also predicted.
        predicted: In the prediction.
        right: Of these, also true.
    """

    true: int
    found: int
    predicted: int
    right: int

    def __add__(self, other: "Hits") -> "Hits":
        """Return the sums."""
        return Hits(
            self.true + other.true,
            self.found + other.found,
            self.predicted + other.predicted,
            self.right + other.right,
        )


NONE = Hits(0, 0, 0, 0)


def confusion_matrix(truth: NDArray, predicted: NDArray, n_classes: int) -> NDArray[np.int64]:
    """Count the pixels of each pair of classes, void left out.

    Args:
        truth: Class map `(H, W)`; classes are 0 to `n_classes - 1`, or void.
        predicted: Class map `(H, W)` without void.
        n_classes: Number of classes.

    Returns:
        `(n_classes, n_classes)`: rows are the truth, columns the prediction.
    """
    known = truth != VOID
    pairs = truth[known].astype(np.int64) * n_classes + predicted[known]
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def boundary_hits(truth: NDArray, predicted: NDArray, number: int, distance: float) -> Hits:
    """Count the boundary pixels of a class, and those within a distance of the other boundary.

    A pixel of the class is on its boundary if one of its four neighbours is known to be of another class; so the border
    of the image, and that of a void area, is none.

    Args:
        truth: Class map `(H, W)`, maybe with void.
        predicted: Class map `(H, W)`.
        number: The class.
        distance: In pixels.
    """
    known = truth != VOID
    of_truth, of_prediction = (_boundary(each, number, known) for each in (truth, predicted))
    return Hits(
        int(of_truth.sum()),
        _near(of_truth, of_prediction, distance),
        int(of_prediction.sum()),
        _near(of_prediction, of_truth, distance),
    )


def object_hits(truth: NDArray, predicted: NDArray, number: int, overlap: float) -> Hits:
    """Count the objects (areas of pixels that touch, also at corners) of a class, and those that the other has too.

    Args:
        truth: Class map `(H, W)`, maybe with void.
        predicted: Class map `(H, W)`; what it says of void pixels is left out.
        number: The class.
        overlap: Share of an object's pixels that must be of the class in the other map; at least one pixel must be.
    """
    known = truth != VOID
    of_truth, of_prediction = truth == number, (predicted == number) & known
    true, found = _shared(of_truth, of_prediction, overlap)
    predicted_objects, right = _shared(of_prediction, of_truth, overlap)
    return Hits(true, found, predicted_objects, right)


def _boundary(classes: NDArray, number: int, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    mask = (classes == number) & known
    inner = ndimage.binary_erosion(mask | ~known, border_value=1)
    return mask & ~inner


def _near(boundary: NDArray[np.bool_], other: NDArray[np.bool_], distance: float) -> int:
    if not other.any():
        return 0
    return int(np.count_nonzero(ndimage.distance_transform_edt(~other)[boundary] <= distance))


def _shared(mask: NDArray[np.bool_], other: NDArray[np.bool_], overlap: float) -> tuple[int, int]:
    """Count the objects of a mask, and those of which more than `overlap` is in the other."""
    objects, count = ndimage.label(mask, _EIGHT)
    areas = np.bincount(objects.ravel(), minlength=count + 1)[1:]
    shared = np.bincount(objects[other], minlength=count + 1)[1:]
    return count, int((shared > overlap * areas).sum())
