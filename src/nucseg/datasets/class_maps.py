"""Class maps: one class a pixel, read from a file or made of a label image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.types import VOID
from nucseg.images.io import read_labels


def of_nuclei(labels: NDArray) -> NDArray[np.uint8]:
    """Return the class map of a label image: nuclei are of class 1, the rest of class 0."""
    return (labels > 0).astype(np.uint8)


def read_class_map(path: Path, name: str) -> NDArray[np.int32]:
    """Read the numbers of classes from a PNG or TIFF: grey values, or the indices of a palette.

    Args:
        path: The file.
        name: Name of the sample, for errors.

    Returns:
        `(H, W)` int32, as stored; see `check_classes`.

    Raises:
        InputError: It is unreadable, in colour without a palette, or a mask of 0 and 255.
    """
    try:
        classes = read_labels(path)
    except InputError as error:
        raise InputError(
            f"{name}: {path.name} is no class map, which is an image of class numbers, grey or with a palette ({error})"
        ) from error
    if set(np.unique(classes)) == {0, VOID}:
        raise InputError(
            f"{name}: {path.name} holds 0 and {VOID} alone, where {VOID} is void: this is a mask. Save its areas as 1."
        )
    return classes


def check_classes(classes: NDArray, image: NDArray, name: str, names: Sequence[str]) -> NDArray[np.uint8]:
    """Check a class map.

    Args:
        classes: `(H, W)`, of any integer dtype.
        image: `(H, W)` or `(H, W, C)`.
        name: Name of the sample.
        names: Names of the classes, from 0 on.

    Raises:
        InputError: It is of another size than the image, has a class without a name, or is void in every pixel.
    """
    if classes.shape != image.shape[:2]:
        raise InputError(
            f"{name}: the image has {image.shape[:2]} (rows, columns) and its class map {classes.shape}; they must be "
            "equal."
        )
    found = np.unique(classes)
    unnamed = [int(number) for number in found if number != VOID and not 0 <= number < len(names)]
    if unnamed:
        raise InputError(
            f"{name}: its class map has the value{'s' if len(unnamed) > 1 else ''} "
            f"{', '.join(map(str, unnamed[:5]))}{', ...' if len(unnamed) > 5 else ''}, but the classes are 0 to "
            f"{len(names) - 1} ({', '.join(names)}) and {VOID} (void). Name all classes in "
            "semantic.data_preprocessing.classes."
        )
    if found.tolist() == [VOID]:
        raise InputError(f"{name}: every pixel of its class map is void.")
    return classes.astype(np.uint8)
