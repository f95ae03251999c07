"""Read the mask of marks: black and white, labels, or probabilities."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from nucseg.core.checks import check_image
from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.io import open_stream
from nucseg.images.places import check_file

# A label is in one place or in a few pieces; a grey value, or a class, is in many.
_MOST_PIECES = 3


def read_mask(path: Path, threshold: float | None = None) -> NDArray:
    """Read a mask of marks.

    Args:
        path: TIFF, PNG or JPEG of one channel, or of three equal ones.
        threshold: Lowest probability of a mark, if the file holds probabilities: floats from 0 to 1, or integers of
            which the largest that the dtype can hold stands for 1.

    Returns:
        (H, W) bool, or a label image (H, W) of an integer dtype if the file holds more than one number besides 0.

    Raises:
        InputError: The file is missing or unreadable, or is neither a mask nor labels and no threshold is given.
    """
    name = str(path)
    check_file(path, name)
    try:
        with path.open("rb") as stream:
            # As stored: the colour table of a mask is no matter.
            source = open_stream(stream, name, as_stored=True)
            image = source.read(Window.whole(source.shape))
            source.check_whole()
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}). Check the path and its permissions.") from error
    if image.dtype != bool:
        check_image(image, name)
    if image.ndim == 3:
        if not (image[..., :3] == image[..., :1]).all():
            raise InputError(f"{name}: is in colour; a mask must be grey: give the mask, not the image or an overlay.")
        image = image[..., 0]
    return _from_probabilities(image, threshold, name) if threshold is not None else _mask_or_labels(image, name)


def _from_probabilities(image: NDArray, threshold: float, name: str) -> NDArray[np.bool_]:
    if image.dtype.kind in "ui":
        return image >= threshold * np.iinfo(image.dtype).max
    if image.dtype.kind == "f" and (image.min() < 0 or image.max() > 1):
        raise InputError(
            f"{name}: has values from {image.min():g} to {image.max():g}; with --threshold, floats must be "
            "probabilities from 0 to 1."
        )
    return image >= threshold


def _mask_or_labels(image: NDArray, name: str) -> NDArray:
    if image.dtype.kind == "f":
        if not np.array_equal(image, np.rint(image)):
            raise InputError(f"{name}: has fractions, as probabilities have; give --threshold, such as 0.5.")
        image = image.astype(np.int64)
    values = np.unique(image[image != 0])
    if len(values) <= 1:
        return image != 0
    if label(image, connectivity=2).max() > _MOST_PIECES * len(values):
        raise InputError(
            f"{name}: has {len(values)} values besides 0 that do not number single marks; give --threshold (such as "
            "0.5) if they are probabilities, or a black and white mask."
        )
    return image
