"""The nuclei of all tiles as one image: numbered without gaps, each nucleus once, read window by window."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.inference.instances.parts import TileResult, tile_result_of
from nucseg.inference.instances.stitching import Numbering, number_nuclei
from nucseg.masks.labels import keep_largest_pieces


@dataclass(frozen=True)
class LabelBlock:
    """Some nuclei with consecutive numbers.

    Attributes:
        window: Window of the image that contains them completely.
        labels: Label image of `window`, int32: 0 and 1..n, these nuclei only.
        first: Number, in the whole image, of the nucleus that is 1 here.
        scores: `(n,)` float32.
    """

    window: Window
    labels: NDArray[np.int32]
    first: int
    scores: NDArray[np.float32]


class StitchedLabels:
    """The label image of a whole image that need not fit into memory.

    Args:
        shape: (rows, columns) of the image.
        parts: What each tile found.
        neighbours: The numbers of the tiles around a tile, as `TileGrid.neighbours`.

    Attributes:
        shape: As given.
        parts: As given.
        neighbours: As given.
        scores: `(N,)` float32; `scores[k - 1]` belongs to label k.
        obstacles: The nuclei that cells do not grow over and rings leave out: these and those that a filter removed.
    """

    def __init__(self, shape: tuple[int, int], parts: list[TileResult], neighbours: Callable[[int], list[int]]) -> None:
        self.shape = shape
        self.parts = parts
        self.neighbours = neighbours
        self._windows = np.array([part.window for part in parts])
        self._numbering: Numbering = number_nuclei(parts, neighbours)
        self._groups = self._numbering.groups
        self.obstacles = self
        self._kept: NDArray[np.int32] | None = None  # what each number becomes; 0 if it is left out
        self.scores = self._numbering.scores
        self._crumbs = np.zeros((0, 2), np.int64)
        self._crumbs = self._find_crumbs()

    @classmethod
    def of(cls, found: Instances) -> Self:
        """Return the nuclei of an image in memory."""
        whole = Window.whole(found.labels.shape)
        part = tile_result_of(found.labels, found.scores, whole, cut=np.zeros(len(found), bool))
        return cls(whole.shape, [part], lambda tile: [tile])

    def __len__(self) -> int:
        return len(self.scores)

    def labels(self, window: Window) -> NDArray[np.int32]:
        """Compute the label image of a window, int32.

        If tiles disagree about a pixel, it belongs to the first one; if this splits a nucleus, its largest piece stays.
        """
        image = np.zeros(window.shape, np.int32)
        for tile in self._tiles_in(window):
            part = self.parts[tile]
            common = part.window.common(window)
            if not common:  # a tile without nuclei
                continue
            target = image[common.within(window).slices]
            found = self._numbering.numbers[tile][part.crop(common)]
            np.copyto(target, found, where=target == 0)
        crumbs = self._crumbs - window[:2]
        rows, columns = crumbs[((crumbs >= 0) & (crumbs < window.shape)).all(1)].T
        image[rows, columns] = 0
        return image if self._kept is None else self._kept[image]

    def _tiles_in(self, window: Window) -> list[int]:
        overlap = (self._windows[:, :2] < window[2:]).all(1) & (self._windows[:, 2:] > window[:2]).all(1)
        return np.flatnonzero(overlap).tolist()

    def replaced(self, gone: NDArray[np.bool_], added: Sequence[TileResult] = ()) -> "StitchedLabels":
        """Return the nuclei without some and with others, which get the pixels that those that stay leave.

        Unlike with `only`, those that are gone are found in no part any longer, and hide no other.

        Args:
            gone: `(N,)`: which are left out.
            added: The others, which share no pixels with each other.
        """
        stays = np.concatenate([[False], ~gone])  # 0: what is left out already
        pairs = zip(self.parts, self._numbering.numbers, strict=True)
        parts = [part.only(stays[numbers[1:]]) for part, numbers in pairs]
        count = len(parts)

        def neighbours(tile: int) -> list[int]:
            return self.neighbours(tile) if tile < count else [*self._tiles_in(added[tile - count].window), tile]

        return StitchedLabels(self.shape, [*parts, *added], neighbours)

    def only(self, keep: NDArray[np.bool_], *, as_obstacles: bool = False) -> "StitchedLabels":
        """Return some of the nuclei, numbered in the same order; what the others covered becomes background.

        Args:
            keep: `(N,)`.
            as_obstacles: Whether the others stay `obstacles`.
        """
        numbers = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)]).astype(np.int32)
        some = copy.copy(self)
        some._kept = numbers if self._kept is None else numbers[self._kept]
        some.obstacles = self.obstacles if as_obstacles else some
        some.scores = self.scores[keep]
        some._groups = []
        for first, last, tiles in self._groups:
            inside = numbers[first : last + 1]
            if inside.any():
                some._groups.append((int(inside[inside > 0][0]), int(inside.max()), tiles))
        return some

    def _find_crumbs(self) -> NDArray[np.int64]:
        """Find the pixels, `(K, 2)`, of nuclei of several tiles outside their largest pieces."""
        crumbs = [self._crumbs]
        shared = np.array(self._numbering.shared, int)
        for first, last, tiles in self._numbering.groups:
            wanted = shared[(shared >= first) & (shared <= last)]
            if not len(wanted):
                continue
            window = self._window(tiles)
            labels = self.labels(window)
            labels = np.where(np.isin(labels, wanted), labels - (first - 1), 0)
            crumbs.append(np.argwhere(labels != keep_largest_pieces(labels)) + window[:2])
        return np.concatenate(crumbs)

    def _window(self, tiles: list[int]) -> Window:
        corners = self._windows[tiles]
        return Window(*corners[:, :2].min(0).tolist(), *corners[:, 2:].max(0).tolist())

    def blocks(self) -> Iterator[LabelBlock]:
        """Yield all nuclei, in the order of their numbers, a tile's at a time."""
        for first, last, tiles in self._groups:
            window = self._window(tiles)
            labels = self.labels(window)
            labels -= first - 1
            labels[(labels < 1) | (labels > last - first + 1)] = 0
            yield LabelBlock(window, labels, first, self.scores[first - 1 : last])

    def instances(self) -> Instances:
        """Compute the whole label image in memory."""
        return Instances(self.labels(Window.whole(self.shape)), self.scores)
