"""Conversion between the channels of stored images (grey or RGB) and those that a model takes (1 or 3)."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

# Luminance of linear RGB as scikit-image's `rgb2gray` weighs it (ITU-R BT.709).
_LUMINANCE = (0.2125, 0.7154, 0.0721)


def canonical_channels(image: NDArray) -> NDArray:
    """Convert an image to the form in which it is stored: grey `(H, W)` or RGB `(H, W, 3)`.

    Args:
        image: `(H, W)` or `(H, W, C)` with C of 1, 3 or 4, any dtype.

    Returns:
        Alpha dropped; `(H, W)` if there is one channel or the three are equal everywhere. May be a view of `image`.
    """
    if image.ndim == 2:
        return image
    red = image[..., 0]
    if image.shape[2] == 1 or all(np.array_equal(red, image[..., channel]) for channel in (1, 2)):
        return red
    return image[..., :3]


def to_grey(image: NDArray) -> NDArray:
    """Convert `(H, W)` or `(H, W, C)` to `(H, W)` of the same dtype: luminance of RGB, alpha ignored.

    Integer results are rounded. The value of a pixel does not depend on its neighbours.
    """
    if image.ndim == 2:
        return image
    if image.shape[2] == 1:
        return image[..., 0]
    working = np.float32 if image.dtype.itemsize <= 2 or image.dtype == np.float32 else np.float64
    # A sum of products, not a matrix product: BLAS may round a pixel by its place in the array.
    grey = np.zeros(image.shape[:2], working)
    for channel, weight in enumerate(_LUMINANCE):
        grey += image[..., channel] * working(weight)
    if image.dtype.kind != "f":
        np.rint(grey, out=grey)
    return grey.astype(image.dtype, copy=False)


def to_rgb(image: NDArray) -> NDArray:
    """Convert `(H, W)` or `(H, W, C)` to `(H, W, 3)`: grey is repeated, alpha dropped.

    The result shares the memory of the image; where grey is repeated, it cannot be written to.
    """
    if image.ndim == 2:
        image = image[..., None]
    return image[..., :3] if image.shape[2] >= 3 else np.broadcast_to(image[..., :1], (*image.shape[:2], 3))


def to_channels(image: NDArray, n: Literal[1, 3]) -> NDArray:
    """Convert `(H, W)` or `(H, W, C)` to `(H, W, n)` of the same dtype, by `to_grey` or `to_rgb`."""
    return to_grey(image)[..., None] if n == 1 else to_rgb(image)
