"""Percentiles of more pixels than fit into memory, exactly: by counting."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_HALF = 16  # bits that are counted at once

_MARK_SHARE = 0.05  # of the pixels: an annotation covers no more
_MARK_GAP = 0.5  # of the range of all other values: an annotation stands at least so far off
_MARK_PIXELS = 64  # fewer are hot pixels
_MARK_LEVELS = 16  # an image of fewer other values is a mask or a drawing itself


class Range(NamedTuple):
    """Two percentiles and the extremes of some values, and the number of annotated values left out."""

    low: float
    high: float
    least: float
    largest: float
    marked: int = 0


def range_of_bands(bands: Callable[[], Iterable[NDArray]], percents: tuple[float, float]) -> Range:
    """Find percentiles, as `np.percentile` does (linear interpolation), of values that come in bands.

    The pixels of an annotation (see `without_marks`) do not count.

    Args:
        bands: Yields all values in bands of any shape, all of one dtype: uint8, uint16 or float32. Called once, for
            float32 twice.
        percents: Two, in [0, 100].
    """
    counts = np.zeros(2**_HALF, np.int64)
    ends = _Ends()
    is_float = False
    for band in bands():
        is_float = band.dtype == np.float32
        values = _sortable(band) >> _HALF if is_float else band.ravel()
        counts += np.bincount(values, minlength=len(counts))
        if is_float:
            ends.add(band)
    if not is_float:
        kept = without_marks(counts, percents)
        present = np.flatnonzero(kept)
        marked = int(counts.sum() - kept.sum())
        return Range(*percentiles_of_counts(kept, percents), float(present[0]), float(present[-1]), marked)
    marks = ends.marks(percents)
    of_marks = {int(_sortable(np.array([value], np.float32))[0]): number for value, number in marks.items()}
    for place, number in of_marks.items():
        counts[place >> _HALF] -= number
    up_to = np.cumsum(counts)
    ranks = np.asarray(percents) / 100 * (up_to[-1] - 1)
    wanted = np.array([0, *np.floor(ranks), *np.ceil(ranks), up_to[-1] - 1], np.int64)
    halves = np.searchsorted(up_to, wanted, side="right")
    # The lower bits, of the values that share their upper bits with a wanted one.
    lower = {half: np.zeros(2**_HALF, np.int64) for half in np.unique(halves)}
    for band in bands():
        values = _sortable(band)
        upper = values >> _HALF
        for half in lower:
            lower[half] += np.bincount(values[upper == half] & (2**_HALF - 1), minlength=2**_HALF)
    for place, number in of_marks.items():
        if place >> _HALF in lower:
            lower[place >> _HALF][place & (2**_HALF - 1)] -= number
    least, *between, largest = (
        _unsorted(int(half) << _HALF | int(np.searchsorted(np.cumsum(lower[half]), rank, side="right")))
        for half, rank in zip(halves, wanted - (up_to - counts)[halves], strict=True)
    )
    below, above = np.array(between[:2]), np.array(between[2:])
    low, high = below + (above - below) * (ranks - np.floor(ranks))
    return Range(float(low), float(high), least, largest, sum(marks.values()))


def without_marks(counts: NDArray[np.int64], percents: tuple[float, float]) -> NDArray[np.int64]:
    """Remove what was drawn into an image: one exact value far above, or far below, all others.

    A burnt-in scale bar or text has one value. If it covers more pixels than a percentile leaves out, it would set the
    range, and the nuclei would be lost in its lowest part. Saturated pixels of a camera count: there are values all the
    way up to theirs.

    Args:
        counts: `counts[v]` is the number of pixels of value v.
        percents: Two, in [0, 100].

    Returns:
        The counts, with 0 for the value of an annotation.
    """
    present = np.flatnonzero(counts).tolist()
    if len(present) <= _MARK_LEVELS:
        return counts
    kept = counts.copy()
    kept[_marks(present, counts, int(counts.sum()), percents)] = 0
    return kept


def _marks(present: list[Any], pixels: Any, total: int, percents: tuple[float, float]) -> list[Any]:
    """Return the values of annotations, see `without_marks`.

    Args:
        present: Values in rising order: at least the two smallest and the two largest of all.
        pixels: `pixels[v]` is the number of pixels of value v, at least of the smallest and the largest.
        total: Number of all pixels.
        percents: Two, in [0, 100].
    """
    marks = []
    for end, share in ((-1, 1 - percents[1] / 100), (0, percents[0] / 100)):
        value, others = present[end], present[:-1] if end else present[1:]
        is_drawn = pixels[value] >= _MARK_PIXELS and share < pixels[value] / total <= _MARK_SHARE
        if is_drawn and max(value - others[-1], others[0] - value) >= _MARK_GAP * (others[-1] - others[0]):
            marks.append(value)
            present = others
    return marks


class _Ends:
    """The largest and smallest of values that come in bands, the next ones, and how many there are of each extreme."""

    def __init__(self) -> None:
        self._counts: Counter[float] = Counter()  # right for the two extremes
        self._levels: set[float] = set()
        self._total = 0

    def add(self, band: NDArray[np.float32]) -> None:
        """Add the values of a band."""
        if not band.size:
            return
        for extreme in (band.min(), band.max()):
            is_extreme = band == extreme
            self._counts[float(extreme)] += int(np.count_nonzero(is_extreme))
            if (rest := band[~is_extreme]).size:
                self._counts.update({float(rest.min()): 0, float(rest.max()): 0})
        self._total += band.size
        if len(self._levels) <= _MARK_LEVELS + 1:
            self._levels.update(np.unique(band)[: _MARK_LEVELS + 2].tolist())

    def marks(self, percents: tuple[float, float]) -> dict[float, int]:
        """Return the values of annotations, see `without_marks`, and the number of pixels of each."""
        if len(self._levels) <= _MARK_LEVELS:
            return {}
        marks = _marks(sorted(self._counts), self._counts, self._total, percents)
        return {value: self._counts[value] for value in marks}


def percentiles_of_counts(counts: NDArray[np.int64], percents: tuple[float, float]) -> tuple[float, float]:
    """Compute what `np.percentile` returns for integers of which `counts[v]` have the value v."""
    up_to = np.cumsum(counts)
    ranks = np.asarray(percents) / 100 * (up_to[-1] - 1)
    below = np.searchsorted(up_to, np.floor(ranks), side="right")
    above = np.searchsorted(up_to, np.ceil(ranks), side="right")
    low, high = below + (above - below) * (ranks - np.floor(ranks))
    return float(low), float(high)


def _sortable(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Convert float32 to integers of the same order (a negative number's bits count downwards)."""
    bits = (np.ascontiguousarray(values).ravel() + np.float32(0)).view(np.uint32)  # -0 becomes 0
    return bits ^ np.where(bits >> 31 == 1, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))


def _unsorted(number: int) -> float:
    bits = np.uint32(number ^ (0x80000000 if number >> 31 else 0xFFFFFFFF))
    return float(bits.view(np.float32))
