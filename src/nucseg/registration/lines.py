"""Parallel lines of points: how they are turned, and where each is."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

MAX_SLOPE = 0.2
"""Slope of the steepest rows that are looked for, about 11 degrees; a steeper line may be a diagonal of the grid."""

# Widths over which points are smeared to lines, in distances of neighbours; evenly spaced on a logarithmic scale.
_WIDTHS = np.geomspace(0.04, 0.28, 9)
_BINS = 40  # per distance of neighbours
# A line holds at least this share of what a usual line holds, and is separated from the next by a dip as deep.
_WEAKEST = 0.3


def slope_of_lines(across: NDArray[np.float64], along: NDArray[np.float64], distance: float) -> float:
    """Find the slope at which `across - slope * along` of the points is gathered most sharply on lines.

    Args:
        across: (N,) coordinate across the lines, in pixels.
        along: (N,) coordinate along the lines, in pixels.
        distance: Usual distance of neighbouring points, in pixels.

    Returns:
        The slope, between -`MAX_SLOPE` and `MAX_SLOPE`.
    """
    extent = max(float(np.ptp(along)), distance)
    along = along - along.mean()
    step = 0.12 * distance / extent
    slopes = np.arange(-MAX_SLOPE, MAX_SLOPE + step, step)
    # Of two equally sharp ones, the less steep.
    sharpness = [_sharpness(across - slope * along, 0.12 * distance) * (1 - 0.05 * abs(slope)) for slope in slopes]
    best = slopes[int(np.argmax(sharpness))]
    finer = best + np.linspace(-step, step, 21)
    return float(finer[int(np.argmax([_sharpness(across - slope * along, 0.05 * distance) for slope in finer]))])


def _sharpness(values: NDArray[np.float64], width: float) -> float:
    counts = np.bincount(((values - values.min()) / width).astype(np.int64)).astype(np.float64)
    # Points that a border of bins separates belong together, too.
    return float(np.square(np.convolve(counts, [0.5, 1, 0.5])).sum())


def find_lines(values: NDArray[np.float64], wanted: int, distance: float) -> NDArray[np.float64] | int:
    """Find where values gather.

    Args:
        values: (N,) coordinates across the lines, in pixels.
        wanted: Lines that there should be.
        distance: Usual distance of neighbouring points, in pixels.

    Returns:
        Ascending coordinates of `wanted` lines; or the number of lines that there are, if it differs. Empty lines
        between evenly spaced ones count.
    """
    width = distance / _BINS
    start = values.min() - distance
    counts = np.bincount(((values - start) / width).astype(np.int64), minlength=1).astype(np.float64)
    counts = np.pad(counts, (0, _BINS))
    found = [_peaks(counts, sigma * _BINS) * width + start + width / 2 for sigma in _WIDTHS]
    numbers = np.array([len(lines) for lines in found])
    filled = [_with_empty_lines(lines, wanted) for lines in found]
    fitting = np.array([len(lines) == wanted for lines in filled])
    # Right at two neighbouring widths at least, or at more widths than any other number: not by the luck of one.
    stable = fitting[1:] & fitting[:-1]
    usual = int(np.bincount(numbers).argmax())
    if not stable.any() and usual != wanted:
        return usual
    fits = np.flatnonzero(stable if stable.any() else fitting)
    return filled[fits[len(fits) // 2]]


def _peaks(counts: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    density = gaussian_filter1d(counts, sigma, mode="constant")
    peaks, _ = find_peaks(density)
    # Debris makes many weak peaks: the usual line is that in which the usual point lies.
    heights = np.repeat(density[peaks], np.maximum(density[peaks] / density.max() * 100, 1).astype(int))
    usual = float(np.median(heights))
    peaks, _ = find_peaks(density, height=_WEAKEST * usual, prominence=_WEAKEST * usual)
    return peaks.astype(np.float64)


def _with_empty_lines(lines: NDArray[np.float64], wanted: int) -> NDArray[np.float64]:
    """Add lines where a gap of otherwise even ones has room for them, if that gives the number that is wanted."""
    gaps = np.diff(lines)
    if not 0 < wanted - len(lines) <= len(gaps) / 2:
        return lines
    steps = gaps / np.median(gaps)
    whole = np.round(steps)
    if np.abs(steps - whole).max() > 0.2 or whole.min() < 1 or whole.sum() != wanted - 1:
        return lines
    return np.interp(np.arange(wanted), np.concatenate([[0], np.cumsum(whole)]), lines)
