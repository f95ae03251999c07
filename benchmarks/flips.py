"""StarDist with test-time flips, for the study: the maps of four flipped images, averaged."""

from typing import Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nucseg.models.stardist.foreground import in_bytes
from nucseg.models.stardist.model import StarDist


class FlippedStarDist(StarDist):
    """Averages each output over the image and its flips up-down, left-right and both."""

    @classmethod
    def of(cls, model: StarDist) -> Self:
        """Return a copy with the same weights and thresholds."""
        flipped = cls(model.config)
        flipped.network.set_weights(model.network.get_weights())
        flipped.thresholds = dict(model.thresholds)
        single = tf.function(flipped.network, reduce_retracing=True, autograph=False)
        flipped._run = lambda images, window, lowest: _chosen(
            _averaged(single, np.asarray(images), model.stride), window, lowest, model.config.grid
        )
        return flipped


def _chosen(maps: list[NDArray[np.float32]], window: NDArray, lowest: np.float32, grid: int) -> list[tf.Tensor]:
    """Select from maps of whole images what `nucseg.models.stardist.prediction_graph` returns."""
    top, left, bottom, right = window
    first, last = window[:2] // grid, -(-window[2:] // grid)
    scores, rays = (each[:, first[0] : last[0], first[1] : last[1]] for each in maps[:2])
    cells = np.argwhere(scores[..., 0] >= lowest)
    inside = [in_bytes(each[:, top:bottom, left:right, 0]) for each in maps[2:]]
    return [tf.constant(each) for each in (cells, scores[(*cells.T, 0)], rays[tuple(cells.T)], *inside)]


def _averaged(run: tf.types.experimental.GenericFunction, images: NDArray[np.float32], margin: int) -> list[NDArray]:
    # The margin keeps the row or column that `_turned` brings from one end to the other away from the image.
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="reflect")
    total: list[NDArray[np.float32]] = []
    for axes in ((), (1,), (2,), (1, 2)):
        outputs = [_turned(output.numpy(), axes) for output in run(_turned(padded, axes))]
        outputs[1] = _turned_rays(outputs[1], axes)
        total = [one + other for one, other in zip(total, outputs, strict=True)] if total else outputs
    averages = []
    for output in total:
        cut = margin * output.shape[1] // padded.shape[1]
        averages.append(output[:, cut:-cut, cut:-cut] / 4)
    return averages


def _turned(maps: NDArray[np.float32], axes: tuple[int, ...]) -> NDArray[np.float32]:
    """Flip `(1, h, w, c)` around index 0, which stays: so a cell of the grid comes to lie on a cell of the grid."""
    return np.roll(np.flip(maps, axes), [1] * len(axes), axes) if axes else maps


def _turned_rays(distances: NDArray[np.float32], axes: tuple[int, ...]) -> NDArray[np.float32]:
    """Exchange rays: ray k of n points by (sin, cos) of 2 pi k / n in rows and columns."""
    rays = np.arange(distances.shape[-1])
    if 1 in axes:
        rays = -rays
    if 2 in axes:
        rays = len(rays) // 2 - rays
    return distances[..., rays % len(rays)]
