"""The two steps of a tile: running the network, and deciding what is a nucleus. Pure: safe to run twice, anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.images.extent import Extent
from nucseg.images.preprocessing import FittedPreprocessor
from nucseg.images.source import ImageSource
from nucseg.inference.engine import Look
from nucseg.inference.instances.large import add_large
from nucseg.inference.instances.look import ScaleLook
from nucseg.inference.instances.parts import TileResult, tile_result_of
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.inference.tiles import TileGrid
from nucseg.inference.view import NetworkView
from nucseg.masks.labels import make_whole
from nucseg.models.protocols import InstanceSegmenter, lowest_score
from nucseg.models.resized import at_scale
from nucseg.models.sizes import TrainedSizes

_NEIGHBOUR_RADII = 3
"""A tile's decision is taken with the proposals up to so many times the largest nucleus's radius around it: whether a
proposal is kept depends on those it overlaps (two radii), and that in turn on theirs."""


@dataclass(frozen=True)
class InstanceSteps:
    """The steps of a tile of instance segmentation; see `TileSteps`.

    Attributes:
        model: The model.
        score_threshold: The lowest score to keep; None takes the model's own.
        trained: The sizes that the model's training showed, for the scale.
    """

    model: InstanceSegmenter
    score_threshold: float | None
    trained: TrainedSizes

    @property
    def _lowest(self) -> float:
        return lowest_score(self.model.thresholds["score"], self.score_threshold)

    @property
    def _threshold(self) -> float:
        return self.model.thresholds["score"] if self.score_threshold is None else self.score_threshold

    def look(self, source: ImageSource, fitted: FittedPreprocessor, at_once: bool) -> Look:
        """Find the scale at which the nuclei have a size that the model knows; see `ScaleLook`."""
        return ScaleLook(self.model, source, fitted, self._lowest, self.trained, at_once=at_once).look()

    def needed(self, grid: TileGrid, tile: int) -> list[int]:
        """Return a tile and those around it, which may propose the same nucleus."""
        return grid.neighbours(tile)

    def propose(self, view: NetworkView, grid: TileGrid, tiles: Sequence[int]) -> list[Any]:
        """Run the network over tiles and their halos; return the proposals that each tile owns, in its frame."""
        places = [grid.reads(tile) for tile in tiles]
        images = [view.read(place) for place in places]
        cores = [grid.core(tile).within(place) for tile, place in zip(tiles, places, strict=True)]
        return self.model.propose(images, {**self.model.thresholds, "score": self._lowest}, cores)

    def nothing(self) -> TileResult:
        """Return a part without nuclei."""
        empty = np.zeros(0, np.int32)
        return TileResult(Window(0, 0, 0, 0), empty, empty, np.zeros(0, np.float32), np.zeros(0, np.bool_))

    def inside(self, part: TileResult, extent: Extent) -> TileResult:
        """Return the nuclei whose middles lie in the extent."""
        return part.only(extent.holds(part.middles()))

    def decode(self, view: NetworkView, grid: TileGrid, tile: int, proposals: Mapping[int, Any]) -> TileResult:
        """Decide which proposals are nuclei and keep those that the tile owns: those centred in its core.

        Args:
            view: The image.
            grid: Its tiles.
            tile: Number of the tile.
            proposals: Those of the tile and of those around it; or what `look` knows of a tile that is the whole image.
        """
        model, core = self.model, grid.core(tile)
        # What smaller scales show is compared with all that the model is sure of, whatever threshold is asked for.
        threshold = min(self._threshold, model.thresholds["score"])
        known = proposals[tile]
        if isinstance(known, Instances):
            return _part(known.above(threshold), core, core, view)
        radius = max(model.max_radius(found) for found in proposals.values())
        window = core.grown(min(_NEIGHBOUR_RADII * radius, grid.side), grid.shape)
        joined = model.join([(found, grid.core(number)) for number, found in proposals.items()], window)
        thresholds = at_scale(model.thresholds, view.scale)
        if not view.is_enlarged:
            return _part(model.decode(joined, window.shape, thresholds).above(threshold), window, core, view)
        # Drawn into the image itself: pixels of the enlarged one would be counted for its pixels, less exactly.
        place = view.place(window)
        found = model.decode(joined, place.shape, thresholds, view.placement(window)).above(threshold)
        return _drawn_part(found, place, core, view)

    def whole(
        self, view: NetworkView, grid: TileGrid, parts: Sequence[TileResult], smaller: Mapping[float, StitchedLabels]
    ) -> StitchedLabels:
        """Number the nuclei of all tiles; add the large ones that only the smaller scales show, see `add_large`."""
        found = StitchedLabels(view.image_shape, list(parts), grid.neighbours)
        if smaller and self.trained.diameters:
            largest = self.trained.diameters[1]
            found = add_large(found, smaller.__getitem__, self.model.thresholds["score"], largest)
        sure = found.scores >= np.float32(self._threshold)
        return found if sure.all() else found.replaced(~sure)


def _part(found: Instances, window: Window, core: Window, view: NetworkView) -> TileResult:
    """Return the nuclei that a tile owns, found in a window of the network's frame."""
    middles, cut = _middles_and_cuts(found.labels, window, view.shape)
    kept = _owned(middles, core)
    # All of them, for they contend for pixels, and a neighbouring tile decides in the same way.
    labels, place = view.restore_labels(found.labels, window)
    if labels is not found.labels:
        labels = make_whole(labels)
        kept &= np.bincount(labels.ravel(), minlength=len(found) + 1)[1:] > 0
    return tile_result_of(labels if kept.all() else _renumbered(labels, kept), found.scores[kept], place, cut=cut[kept])


def _drawn_part(found: Instances, place: Window, core: Window, view: NetworkView) -> TileResult:
    """Return the nuclei that a tile owns, drawn into a window of the image; `core` is in the network's frame."""
    middles, cut = _middles_and_cuts(found.labels, place, view.image_shape)
    kept = _owned(middles * np.divide(view.shape, view.image_shape), core)
    labels = found.labels if kept.all() else _renumbered(found.labels, kept)
    return tile_result_of(labels, found.scores[kept], place, cut=cut[kept])


def _owned(middles: NDArray[np.float64], core: Window) -> NDArray[np.bool_]:
    owned: NDArray[np.bool_] = np.all((middles >= core[:2]) & (middles < core[2:]), axis=1)
    return owned


def _middles_and_cuts(
    labels: NDArray[np.int32], window: Window, shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the middle of each nucleus's box, and whether it is cut by a border of the window inside the image."""
    boxes = np.array(
        [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in ndimage.find_objects(labels)]
    ).reshape(-1, 4) + np.array(window[:2] * 2)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    borders = np.array([window.top, window.left, window.bottom, window.right])
    ends = np.array([0, 0, *shape])
    return middles, ((boxes == borders) & (borders != ends)).any(1)


def _renumbered(labels: NDArray[np.int32], keep: NDArray[np.bool_]) -> NDArray[np.int32]:
    return np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)]).astype(np.int32)[labels]
