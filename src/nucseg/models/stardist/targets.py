"""What the network of StarDist learns from one patch."""

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import relabel_sequential
from stardist.utils import edt_prob

from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.rays import star_distances


def make_targets(truth: NDArray[np.int32], config: StarDistConfig) -> tuple[NDArray[np.float32], ...]:
    """Compute the targets of one patch, as `stardist.models.StarDistData2D` does.

    Args:
        truth: The label image `(h, w)` int32; 0 is background, gaps are allowed.
        config: Grid, rays, and whether there is a foreground head.

    Returns:
        The object probability `(h/grid, w/grid, 1)`, the distances with their weight `(h/grid, w/grid, n_rays + 1)`
        and, for the foreground head, the foreground `(h, w, 1)`, float32.
    """
    grid = config.grid
    # Numbered without gaps, since the package's loop goes over all numbers.
    probability = edt_prob(relabel_sequential(truth[::grid, ::grid])[0])[..., None]
    distances = star_distances(truth, config.n_rays, grid)
    targets: tuple[NDArray[np.float32], ...] = (probability, np.concatenate([distances, probability], axis=-1))
    if config.refine_radius:
        targets += ((truth > 0).astype(np.float32)[..., None],)
    return targets
