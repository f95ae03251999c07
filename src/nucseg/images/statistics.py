"""Percentiles of more pixels than fit into memory, exactly: by counting."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_HALF = 16  # bits that are counted at once


class Range(NamedTuple):
    """Two percentiles and the extremes of some values."""

    low: float
    high: float
    least: float
    largest: float


def range_of_bands(bands: Callable[[], Iterable[NDArray]], percents: tuple[float, float]) -> Range:
    """Find percentiles, as `np.percentile` does (linear interpolation), of values that come in bands.

    Args:
        bands: Yields all values, in bands of any shape: uint8, uint16 or float32, always the same one. Called once,
            for float32 twice.
        percents: Two, in [0, 100].
    """
    counts = np.zeros(2**_HALF, np.int64)
    is_float = False
    for band in bands():
        is_float = band.dtype == np.float32
        values = _sortable(band) >> _HALF if is_float else band.ravel()
        counts += np.bincount(values, minlength=len(counts))
    if not is_float:
        present = np.flatnonzero(counts)
        return Range(*percentiles_of_counts(counts, percents), float(present[0]), float(present[-1]))
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
    least, *between, largest = (
        _unsorted(int(half) << _HALF | int(np.searchsorted(np.cumsum(lower[half]), rank, side="right")))
        for half, rank in zip(halves, wanted - (up_to - counts)[halves], strict=True)
    )
    below, above = np.array(between[:2]), np.array(between[2:])
    low, high = below + (above - below) * (ranks - np.floor(ranks))
    return Range(float(low), float(high), least, largest)


def percentiles_of_counts(counts: NDArray[np.int64], percents: tuple[float, float]) -> tuple[float, float]:
    """Compute what `np.percentile` gives for whole numbers, of which `counts[v]` are v."""
    up_to = np.cumsum(counts)
    ranks = np.asarray(percents) / 100 * (up_to[-1] - 1)
    below = np.searchsorted(up_to, np.floor(ranks), side="right")
    above = np.searchsorted(up_to, np.ceil(ranks), side="right")
    low, high = below + (above - below) * (ranks - np.floor(ranks))
    return float(low), float(high)


def _sortable(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Turn float32 into whole numbers of the same order (a negative number's bits count downwards)."""
    bits = np.ascontiguousarray(values).ravel().view(np.uint32)
    return bits ^ np.where(bits >> 31 == 1, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))


def _unsorted(number: int) -> float:
    bits = np.uint32(number ^ (0x80000000 if number >> 31 else 0xFFFFFFFF))
    return float(bits.view(np.float32))
