"""Convolutions of the network in less time, for prediction."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

# What each row of a 4x4 kernel adds up of the rows of a 3x3 kernel: a coarse cell is two rows of the enlarged features,
# and meets these weights on its way to each of the four rows around it.
_ADDED = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], np.float32)


def convolve_enlarged(convolution: keras.layers.Conv2D, coarse: Any, finer: list[Any]) -> Any:
    """Compute a 3x3 convolution of the features (enlarged coarse, *finer) with less than two thirds of the work.

    Enlarged by nearest neighbour, a coarse cell is the same in 2 x 2 pixels, so that of each pixel's 3 x 3 neighbours
    several are one cell: their weights are added, and a transposed convolution enlarges (Dumoulin & Visin 2016,
    https://arxiv.org/abs/1603.07285).

    Args:
        convolution: Built for all these channels, with padding `same`.
        coarse: `(N, H, W, C)`.
        finer: Maps `(N, 2 H, 2 W, ...)`.

    Returns:
        `(N, 2 H, 2 W, filters)`, up to rounding what the convolution gives.
    """
    ops = keras.ops
    channels, kernel = coarse.shape[-1], convolution.kernel
    added = ops.einsum("ak,bl,klio->aboi", _ADDED, _ADDED, kernel[:, :, :channels])
    enlarged = ops.conv_transpose(coarse, added, strides=2, padding="same")
    here = ops.conv(ops.concatenate(finer, axis=-1), kernel[:, :, channels:], padding="same")
    return convolution.activation(here + convolution.bias + enlarged)


def convolve_in_pairs(pairs: Sequence[tuple[keras.layers.Conv2D, keras.layers.Conv2D]], features: Any) -> list[Any]:
    """Compute a 3x3 and then a 1x1 convolution of the same features, several times, as one of each.

    Side by side they would compete for the processor, and one of few filters takes as long as one of many.

    Args:
        pairs: The 3x3 convolutions with padding `same` and one activation, each with the 1x1 one that follows.
        features: `(N, H, W, C)`.

    Returns:
        The outcomes of all 3x3 convolutions one behind the other, as one map, and the outcome of each 1x1 convolution,
        up to rounding.
    """
    ops = keras.ops
    first = [each for each, _ in pairs]
    kernel = ops.concatenate([each.kernel for each in first], axis=-1)
    bias = ops.concatenate([each.bias for each in first], axis=0)
    wide = first[0].activation(ops.conv(features, kernel, padding="same") + bias)
    ends = np.cumsum([each.filters for each in first])
    second = [each for _, each in pairs]
    spread = [
        ops.pad(each.kernel, ((0, 0), (0, 0), (end - before.filters, ends[-1] - end), (0, 0)))
        for before, each, end in zip(first, second, ends.tolist(), strict=True)
    ]
    outcomes = ops.conv(wide, ops.concatenate(spread, axis=-1)) + ops.concatenate([each.bias for each in second], 0)
    parts = ops.split(outcomes, np.cumsum([each.filters for each in second])[:-1].tolist(), axis=-1)
    return [wide, *(each.activation(part) for each, part in zip(second, parts, strict=True))]
