"""Intensities on one scale, whatever the dtype."""

import numpy as np
from numpy.typing import NDArray


def unit_value(dtype: np.dtype) -> float:
    """Return the stored value that becomes 1 in unit range: the largest of an integer dtype, 1 for bool and float."""
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0


def to_unit_float(image: NDArray) -> NDArray[np.float32]:
    """Convert an image to float32 in unit range, by its dtype alone (never by its values, so a patch equals the whole).

    Args:
        image: Any shape, any bool, integer or float dtype.

    Returns:
        Integers are divided by the largest value of their dtype: unsigned ones come to [0, 1], signed ones to [-1, 1]
        (not shifted: float32 would lose the values of an int32 image to a shift of 2^31). Floats stay as they are.
        Float32 input is returned itself, not a copy.
    """
    if image.dtype.kind in "iu":
        unit = image.astype(np.float32)
        unit /= np.float32(unit_value(image.dtype))
        return unit
    return image.astype(np.float32, copy=False)


def is_constant(image: NDArray) -> bool:
    """Return whether all pixels of an image `(H, W)` or `(H, W, C)` are equal; a single pixel is."""
    few = image[::64, ::64]  # mostly enough to see that they are not
    return bool((few == image[0, 0]).all() and (image == image[0, 0]).all())
