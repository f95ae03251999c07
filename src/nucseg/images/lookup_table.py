"""Recognise an image that shows one channel through a lookup table, such as viridis or jet."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import minimum_spanning_tree, shortest_path
from scipy.spatial.distance import pdist, squareform

_MOST_COLOURS = 320  # 256 of the table, and those of a frame or a scale bar
_FEWEST_COLOURS = 48  # fewer may lie on a path by chance
_GAP = 0.15  # of the range: farther off are annotations. The steps of a table of 256 are 0.1 at most.
_ON_PATH = 0.9  # part of the colours
# Share of the longest path in the tree that joins the colours: 0.99 or more for matplotlib's tables, 0.73 or less
# for histology that was reduced to 48 or more colours.
_PATH = 0.95
# The second singular value over the first. A tinted grey image is straight: sepia, whose bright end is clipped, has
# 0.08; matplotlib's viridis, inferno, hot and jet have 0.3 to 0.7.
_CURVED = 0.12


class Colours:
    """The distinct colours of an image, collected only while they are few."""

    def __init__(self) -> None:
        self._few: NDArray | None = None
        self._many = False

    def add(self, pixels: NDArray) -> None:
        """Add the colours of pixels `(h, w, 3)`; row by row, so that a photograph costs almost nothing."""
        for row in pixels:
            if self._many:
                return
            new = row[np.append(True, (row[1:] != row[:-1]).any(axis=1))]
            self._few = np.unique(new if self._few is None else np.concatenate([self._few, new]), axis=0)
            self._many = len(self._few) > _MOST_COLOURS

    def are_a_lookup_table(self) -> bool:
        """Return whether they are few and lie on one smooth path that is curved."""
        if self._many or self._few is None or len(self._few) < _FEWEST_COLOURS:
            return False
        colours = self._few / np.ptp(self._few).astype(np.float64)
        tree = minimum_spanning_tree(squareform(pdist(colours)))
        tree.data[tree.data > _GAP] = 0
        tree.eliminate_zeros()
        lengths = shortest_path(tree, directed=False)
        joined = np.isfinite(lengths)
        if joined.sum(axis=1).max() < _ON_PATH * len(colours) or lengths[joined].max() < _PATH * tree.sum():
            return False
        on_path = colours[joined[joined.sum(axis=1).argmax()]]
        extents = np.linalg.svd(on_path - on_path.mean(axis=0), compute_uv=False)
        return bool(extents[1] >= _CURVED * extents[0])
