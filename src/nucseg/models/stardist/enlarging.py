"""A convolution of features that are enlarged first, computed before they are enlarged."""

from typing import Any

import keras
import numpy as np

# For each row of a cell of 2 x 2 pixels, lower one first: which rows of a 3x3 kernel meet the first and the second of
# the two coarse cells that the kernel reaches from there.
_REACHED = np.array([[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]], np.float32)


def convolve_enlarged(convolution: keras.layers.Conv2D, coarse: Any, finer: list[Any]) -> Any:
    """Compute a 3x3 convolution of the features (enlarged coarse, *finer) with less than two thirds of the work.

    Enlarged by nearest neighbour, a coarse cell is the same in 2 x 2 pixels, so that of each pixel's 3 x 3 neighbours
    several are one cell: their weights are added (sub-pixel convolution, Shi et al. 2016,
    https://arxiv.org/abs/1609.05158).

    Args:
        convolution: Built for all these channels, with padding `same`.
        coarse: `(N, H, W, C)`.
        finer: Maps `(N, 2 H, 2 W, ...)`.

    Returns:
        `(N, 2 H, 2 W, filters)`, up to rounding what the convolution gives.
    """
    ops = keras.ops
    channels, filters = coarse.shape[-1], convolution.filters
    kernel = convolution.kernel
    summed = ops.einsum("atk,bsl,klio->tsiabo", _REACHED, _REACHED, kernel[:, :, :channels])
    small = ops.reshape(summed, (2, 2, channels, 4 * filters))
    # Windows of 2 x 2 cells that begin a cell before the first one; each gives the lower right pixel of its first cell,
    # and the others on from there.
    framed = ops.pad(coarse, ((0, 0), (1, 1), (1, 1), (0, 0)))
    enlarged = ops.depth_to_space(ops.conv(framed, small, padding="valid"), 2)[:, 1:-1, 1:-1]
    here = ops.conv(ops.concatenate(finer, axis=-1), kernel[:, :, channels:], padding="same")
    return convolution.activation(here + convolution.bias + enlarged)
