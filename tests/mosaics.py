"""A label image in memory as what a prediction returns."""

import numpy as np

from nucseg.core.window import Window
from nucseg.inference.instances.parts import tile_result_of
from nucseg.inference.instances.stitched import StitchedLabels


def mosaic_of(found):
    """Take the nuclei of a whole image as those of one tile."""
    shape = found.labels.shape
    part = tile_result_of(found.labels, found.scores, Window.whole(shape), cut=np.zeros(len(found), bool))
    return StitchedLabels(shape, [part], lambda tile: [tile])
