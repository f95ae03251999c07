"""Large nuclei that a network misses beside small ones: smaller scales show them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from nucseg.core.window import Window
from nucseg.inference.instances.parts import TileResult, tile_result_of
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.masks.labels import diameters

SCALES = (0.5, 0.25)
"""Both must show a nucleus."""

_SMALLEST = 60.0  # pixels: narrower nuclei are found at full size
_SAME = 0.5  # IoU of two outlines of the same nucleus
_MOSTLY = 0.5  # of a nucleus


def add_large(
    full: StitchedLabels, at: Callable[[float], StitchedLabels], score: float, largest: float
) -> StitchedLabels:
    """Add the large nuclei that only smaller scales show, in the place of the pieces that were found of them.

    A nucleus is added if half and a quarter of the size show the same one: dirt and groups look different from each
    distance. And if full size shows neither this nucleus nor others that cover half of it, which may be a group.

    Args:
        full: The nuclei found at full size, perhaps with weak ones.
        at: Returns what is found at a scale, in the frame of the image; called with 0.25 and, if that shows a nucleus
            that is missing, with 0.5.
        score: The score from which a nucleus is not weak.
        largest: Pixels: the diameter of the largest nuclei that the model knows.

    Returns:
        All nuclei; `full` itself if none is missing.
    """
    quarter = _sure(at(0.25), score)
    if not any(_missing(quarter, full, score, largest)):
        return full
    added: list[TileResult] = []
    gone = np.zeros(len(full), bool)
    for nucleus in _missing(_sure(at(0.5), score), full, score, largest):
        if nucleus.shares(quarter.labels(nucleus.around))[1].max() >= _SAME:
            pieces = np.flatnonzero(nucleus.shares(full.labels(nucleus.around))[0] >= _MOSTLY)
            gone[pieces - 1] = True
            added.append(nucleus.part())
    return full.replaced(gone, added) if added else full


@dataclass(frozen=True)
class _Nucleus:
    """A nucleus of a smaller scale.

    Attributes:
        around: A window of the image with it and all that may lie mostly in it.
        pixels: Which pixels of the window belong to it.
        score: Its score.
    """

    around: Window
    pixels: NDArray[np.bool_]
    score: np.float32

    def shares(self, labels: NDArray[np.int32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the share of each nucleus of the window that lies in this one, and the IoU of both, by label."""
        areas = np.bincount(labels.ravel())
        inside = np.bincount(labels[self.pixels], minlength=len(areas))
        inside[0] = 0  # background
        return inside / np.maximum(areas, 1), inside / (areas + np.count_nonzero(self.pixels) - inside)

    def part(self) -> TileResult:
        """Return it as what a tile found."""
        scores, cut = np.array([self.score], np.float32), np.zeros(1, bool)
        return tile_result_of(self.pixels.astype(np.int32), scores, self.around, cut=cut)


def _sure(found: StitchedLabels, score: float) -> StitchedLabels:
    return found.only(found.scores >= np.float32(score))


def _missing(seen: StitchedLabels, full: StitchedLabels, score: float, largest: float) -> Iterator[_Nucleus]:
    """Yield each large nucleus of a smaller scale that full size does not show."""
    is_weak = np.concatenate([[False], full.scores < np.float32(score)])
    for block in seen.blocks():
        places = [(number, place) for number, place in enumerate(find_objects(block.labels), start=1) if place]
        for (number, place), diameter in zip(places, diameters(block.labels), strict=True):
            if not _SMALLEST <= diameter <= 2 * largest:
                continue
            (top, left), (rows, columns) = block.window[:2], place
            inner = Window(top + rows.start, left + columns.start, top + rows.stop, left + columns.stop)
            around = inner.grown(max(inner.shape), full.shape)
            wide = np.zeros(around.shape, bool)
            wide[inner.within(around).slices] = block.labels[place] == number
            nucleus = _Nucleus(around, wide, block.scores[number - 1])
            labels = full.labels(around)
            sure = np.where(is_weak[labels], 0, labels)
            covered = np.count_nonzero(sure[wide]) / np.count_nonzero(wide)
            if covered < _MOSTLY and nucleus.shares(sure)[1].max() < _SAME:
                yield nucleus
