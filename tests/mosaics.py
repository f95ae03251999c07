"""A label image in memory as what a prediction returns."""

import numpy as np
from scipy.ndimage import find_objects

from nucseg.core.window import Window
from nucseg.inference.instances.parts import tile_result_of
from nucseg.inference.instances.stitched import StitchedLabels

mosaic_of = StitchedLabels.of


def mosaic_of_tiles(found, side):
    """Give each nucleus to the tile of a grid that has the upper left corner of its box."""
    corners = np.array([[side_.start for side_ in box] for box in find_objects(found.labels)]) // side
    squares, tiles = np.unique(corners, axis=0, return_inverse=True)
    parts = []
    for tile in range(len(squares)):
        members = np.flatnonzero(tiles.ravel() == tile) + 1
        numbers = np.zeros(len(found) + 1, np.int32)
        numbers[members] = np.arange(1, len(members) + 1)
        none = np.zeros(len(members), bool)
        whole = Window.whole(found.labels.shape)
        parts.append(tile_result_of(numbers[found.labels], found.scores[members - 1], whole, cut=none))
    return StitchedLabels(found.labels.shape, parts, lambda tile: list(range(len(parts))))
