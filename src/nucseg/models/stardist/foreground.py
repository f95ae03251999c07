"""Boundary refinement: a foreground map at full resolution, and nuclei whose borders follow it.

Star-convex polygons find and separate nuclei well but follow their borders coarsely: 32 rays, on a grid of 2 pixels. A
second head of the same network predicts for each pixel whether it belongs to any nucleus; within a few pixels of a
polygon's border that map decides. The idea of dividing the task in this way comes from StarDist's own multi-class head
(Weigert & Schmidt 2022, https://arxiv.org/abs/2203.02284), which classifies pixels beside the polygons.
"""

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from nucseg.masks.labels import fill_label_holes

FOREGROUND = 0.5
"""From this value on a pixel of the map counts as nucleus."""

_NO_NUCLEUS = np.finfo(np.float32).max  # the value that OpenCV assumes beyond the image when it erodes


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


def refine(labels: NDArray[np.int32], foreground: NDArray[np.bool_], radius: int) -> NDArray[np.int32]:
    """Correct the pixels near the nuclei's borders by the foreground map.

    A pixel outside, within `radius` of a nucleus, becomes part of the nearest one (of the lower label if two are
    equally near) if the map says foreground. A pixel inside, within `radius` of the border, is removed if the map says
    background. Pixels further inside stay, resulting holes are filled, and no pixel moves from one nucleus to another.

    Args:
        labels: `(H, W)` int32; 0 is background, labels are below 2**24.
        foreground: `(H, W)` bool.
        radius: Pixels, at least 1.

    Returns:
        The label image `(H, W)` int32; a small nucleus may be left without any pixel.
    """
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    squared = rows**2 + columns**2
    disk = (squared <= radius**2).astype(np.uint8)
    values = labels.astype(np.float32)  # OpenCV's morphology takes no int32
    inner = (labels > 0) & (cv2.erode(values, disk) == cv2.dilate(values, disk))
    nuclei = np.where(labels > 0, values, _NO_NUCLEUS)
    nearest = nuclei.copy()
    for distance in np.unique(squared[(squared > 0) & (squared <= radius**2)]):
        ring = (squared == distance).astype(np.uint8)
        np.copyto(nearest, cv2.erode(nuclei, ring), where=nearest == _NO_NUCLEUS)
    expanded = np.where(nearest == _NO_NUCLEUS, 0, nearest).astype(np.int32)
    filled = fill_label_holes(np.where(inner | foreground, expanded, 0))
    return np.where(filled == expanded, filled, 0)
