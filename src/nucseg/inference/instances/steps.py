"""The two steps of a tile: running the network, and deciding what is a nucleus. Pure: safe to run twice, anywhere."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.inference.instances.parts import Part, make_part
from nucseg.inference.tiles import TileGrid
from nucseg.inference.view import NetworkView
from nucseg.masks.labels import make_whole
from nucseg.models.protocols import InstanceSegmenter, lowest_score

_NEIGHBOUR_RADII = 3
"""A tile's decision is taken with the proposals up to so many times the largest nucleus's radius around it: whether a
proposal is kept depends on those it overlaps (two radii), and that in turn on theirs."""


def propose_tiles(
    model: InstanceSegmenter, view: NetworkView, grid: TileGrid, tiles: Sequence[int], score_threshold: float | None
) -> list[Any]:
    """Run the network over tiles and their halos, those that are alike as one batch.

    Args:
        model: The model.
        view: The image.
        grid: Its tiles.
        tiles: Which ones.
        score_threshold: The lowest score to keep; None takes the model's own.

    Returns:
        For each tile the proposals that it owns, in its frame.
    """
    places = [grid.reads(tile) for tile in tiles]
    images = [view.read(place) for place in places]
    cores = [grid.core(tile).within(place) for tile, place in zip(tiles, places, strict=True)]
    lowest = lowest_score(model.thresholds["score"], score_threshold)
    return model.propose(images, {**model.thresholds, "score": lowest}, cores)


def decode_tile(
    model: InstanceSegmenter,
    view: NetworkView,
    grid: TileGrid,
    tile: int,
    proposals: Mapping[int, Any],
    score_threshold: float | None,
) -> Part:
    """Decide which proposals are nuclei and keep those that the tile owns: whose middle lies in its core.

    Args:
        model: The model.
        view: The image.
        grid: Its tiles.
        tile: Which one.
        proposals: What `propose_tiles` returned for the tile and each of its neighbours.
        score_threshold: The lowest score to keep; None takes the model's own.
    """
    core = grid.core(tile)
    radius = max(model.max_radius(found) for found in proposals.values())
    window = core.grown(min(_NEIGHBOUR_RADII * radius, grid.side), grid.shape)
    joined = model.join([(found, grid.core(number)) for number, found in proposals.items()], window)
    threshold = model.thresholds["score"] if score_threshold is None else score_threshold
    found = model.decode(joined, window.shape, model.thresholds).above(threshold)
    return _part(found, window, core, view)


def _part(found: Instances, window: Window, core: Window, view: NetworkView) -> Part:
    middles, cut = _middles_and_cuts(found.labels, window, view.shape)
    owned = np.all((middles >= core[:2]) & (middles < core[2:]), axis=1)
    labels, place = view.restore(_renumbered(found.labels, owned), window)
    if labels.shape != found.labels.shape:
        labels = make_whole(labels)
    visible = np.bincount(labels.ravel(), minlength=np.count_nonzero(owned) + 1)[1:] > 0
    kept = np.flatnonzero(owned)[visible]
    return make_part(
        labels if visible.all() else _renumbered(labels, visible), found.scores[kept], place, cut=cut[kept]
    )


def _middles_and_cuts(
    labels: NDArray[np.int32], window: Window, shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the middle of each nucleus's box, and whether it ends at a border of the window inside of the image."""
    boxes = np.array(
        [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in ndimage.find_objects(labels)]
    ).reshape(-1, 4) + np.array(window[:2] * 2)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    borders = np.array([window.top, window.left, window.bottom, window.right])
    ends = np.array([0, 0, *shape])
    return middles, ((boxes == borders) & (borders != ends)).any(1)


def _renumbered(labels: NDArray[np.int32], keep: NDArray[np.bool_]) -> NDArray[np.int32]:
    return np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)]).astype(np.int32)[labels]
