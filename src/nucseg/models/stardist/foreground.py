"""Boundary refinement: a foreground map at full resolution, which borders follow (`nucseg.models.stardist.refining`).

Star-convex polygons find and separate nuclei well but follow their borders coarsely: 32 rays, on a grid of 2 pixels. A
second head of the same network predicts for each pixel whether it belongs to any nucleus; within a few pixels of a
polygon's border that map decides. The idea of dividing the task in this way comes from StarDist's own multi-class head
(Weigert & Schmidt 2022, https://arxiv.org/abs/2203.02284), which classifies pixels beside the polygons.
"""

from typing import Any

import keras
from keras import ops

FOREGROUND = 0.5
"""From this value on a pixel of the map counts as nucleus."""

_STEPS = 256
FOREGROUND_BYTE = int(FOREGROUND * _STEPS)
"""The same of what `in_bytes` returns."""


def in_bytes(probability: Any) -> Any:
    """Convert a map in [0, 1] to uint8, in 256ths, rounded down; 1 becomes 255.

    A byte is rearranged more quickly than a float, and what is one half or more stays so, in bfloat16, too.
    """
    return ops.cast(ops.minimum(probability * _STEPS, _STEPS - 1), "uint8")


def add_foreground_head(network: keras.Model, grid: int, filters: int) -> keras.Model:
    """Add a third output to a StarDist network: the foreground map at the resolution of the image.

    The features from which polygons are predicted are upsampled to the image's resolution if the grid is coarser, and
    concatenated with the features of the first layers, as in a U-Net (Ronneberger et al. 2015,
    https://arxiv.org/abs/1505.04597).

    Args:
        network: A network with the outputs object probability and distances, on the grid.
        grid: Side of a grid cell in pixels.
        filters: Filters of the head's layers.

    Returns:
        The network with the map, `(N, H, W, 1)` in [0, 1], as its last output.
    """
    layers = keras.layers
    # The features of the object probability, and the last layer before the first downsampling.
    features = network.get_layer("prob").input
    downsampled = next(layer for layer in network.layers if isinstance(layer, layers.MaxPooling2D))
    x = layers.Conv2DTranspose(filters, grid, strides=grid, activation="relu", name="foreground_enlarged")(features)
    x = layers.Concatenate(name="foreground_joined")([x, downsampled.input])
    x = layers.Conv2D(filters, 3, padding="same", activation="relu", name="foreground_features")(x)
    foreground = layers.Conv2D(1, 1, activation="sigmoid", name="foreground")(x)
    return keras.Model(network.inputs, [*network.outputs, foreground])
