"""Convolutions of the network in less time."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

# What each row of a 4x4 kernel adds up of the rows of a 3x3 kernel: a coarse cell is two rows of the enlarged features,
# and meets these weights on its way to each of the four rows around it.
_ADDED = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], np.float32)


class Conv2D(keras.layers.Conv2D):
    """A 3x3 convolution of coarse features, enlarged twice by nearest neighbour, and finer ones, with half of the work.

    A coarse cell is the same in 2 x 2 pixels, so that of each pixel's 3 x 3 neighbours several are one cell: their
    weights are added, and a transposed convolution enlarges (Dumoulin & Visin 2016, https://arxiv.org/abs/1603.07285).
    It has the name and the weights of Keras's layer for all channels, the coarse ones first, so that a weights file
    fits both.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.input_spec = None  # Keras's is for a single map

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        """Create the weights for the channels of all maps."""
        super().build((*input_shape[-1][:-1], sum(shape[-1] or 0 for shape in input_shape)))
        self.input_spec = None

    def call(self, inputs: Sequence[Any]) -> Any:
        """Convolve `(N, H, W, C)`, enlarged, and maps of `(N, 2 H, 2 W, ...)` to `(N, 2 H, 2 W, filters)`."""
        ops = keras.ops
        coarse, *finer = inputs
        channels = coarse.shape[-1]
        sums = ops.cast(_ADDED, coarse.dtype)
        added = ops.einsum("ak,bl,klio->aboi", sums, sums, self.kernel[:, :, :channels])
        enlarged = ops.conv_transpose(coarse, added, strides=2, padding="same")
        here = ops.conv(ops.concatenate(finer, axis=-1), self.kernel[:, :, channels:], padding="same")
        return self.activation(here + self.bias + enlarged)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the shape of what `call` returns; `build` of Keras asks with the shape of a single map."""
        finest = input_shape if isinstance(input_shape[-1], int) else input_shape[-1]
        return (*finest[:-1], self.filters)


def convolve_together(convolutions: Sequence[keras.layers.Conv2D], features: Any) -> list[Any]:
    """Compute several 1x1 convolutions of the same features as one: one of few filters takes as long as one of many.

    Args:
        convolutions: The layers.
        features: `(N, H, W, C)`.

    Returns:
        What each returns, up to rounding.
    """
    ops = keras.ops
    kernel = ops.concatenate([each.kernel for each in convolutions], axis=-1)
    outcome = ops.conv(features, kernel) + ops.concatenate([each.bias for each in convolutions], axis=0)
    parts = ops.split(outcome, np.cumsum([each.filters for each in convolutions])[:-1].tolist(), axis=-1)
    return [each.activation(part) for each, part in zip(convolutions, parts, strict=True)]
