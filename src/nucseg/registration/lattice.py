"""The lattice of marks: as many rows and columns as were acquired, turned, sheared and unevenly spaced."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from nucseg.core.errors import InputError
from nucseg.registration.lines import find_lines, slope_of_lines

# A row is shifted against the others by at most this many distances of columns.
_LARGEST_SHIFT = 1.6
# A mark belongs to a cell if it is at most this far from its middle, in distances of neighbouring cells.
_REACH = 0.5
_ROUNDS = 8
# A lattice is refused if fewer of its cells hold a mark, or if more of the regions lie between its cells.
_FEWEST_FILLED, _MOST_HOMELESS = 0.5, 0.04
# In no line may more of the cells hold two marks: it would be two lines.
_MOST_DOUBLE = 0.3
_CLOSEST_LINES = 0.4
_FEWEST_AT_BORDER, _LEAST_GAP = 0.45, 0.7
# As many regions beyond the border or in a wide gap, of the marks of a line there, are one more line.
_MOST_OF_FURTHER, _WIDE_GAP = 0.25, 1.6


@dataclass(frozen=True)
class Lattice:
    """Where the middle of each cell's mark is expected: the sum of its row's and its column's vector.

    So rows and columns may be turned, sheared, unevenly spaced and shifted against each other.

    Attributes:
        rows: (R, 2) vectors (y, x), in pixels.
        columns: (C, 2) vectors (y, x), in pixels.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]

    @property
    def middles(self) -> NDArray[np.float64]:
        """(R, C, 2) positions (y, x), in pixels."""
        return self.rows[:, None] + self.columns[None]

    def spacing(self) -> NDArray[np.float64]:
        """Return how far the nearest middle of another cell is, (R, C), in pixels."""
        middles = self.middles.reshape(-1, 2)
        if len(middles) == 1:
            return np.full((1, 1), np.inf)
        distances, _ = KDTree(middles).query(middles, k=2)
        return distances[:, 1].reshape(len(self.rows), len(self.columns))


class _WrongNumberError(Exception):
    """The lines of an image are not as many as was said."""

    def __init__(self, rows: int | None, columns: int | None) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns


def fit_lattice(centres: NDArray[np.float64], rows: int, columns: int, name: str) -> Lattice:
    """Fit a lattice to the centres of marks, with missing marks, and others that are no marks.

    Args:
        centres: (N, 2) positions (y, x) of regions that may be one mark, in pixels.
        rows: Rows of the acquisition, about horizontal.
        columns: Columns of the acquisition.
        name: Name of the mask for messages.

    Returns:
        The lattice.

    Raises:
        InputError: There are fewer or more rows or columns, or the regions form no such lattice.
    """
    cells = rows * columns
    if len(centres) < max(_FEWEST_FILLED * cells, 1):
        raise InputError(
            f"{name}: has only {len(centres)} regions of the size of a mark for {rows} x {columns} = {cells} cells; "
            "check --rows, --cols and the mask."
        )
    wrong = []
    best: tuple[int, Lattice] | None = None
    # Either rows or columns are straight lines from the start; the others may be shifted against each other.
    for swapped in (False, True):
        points, sizes = (centres[:, ::-1], (columns, rows)) if swapped else (centres, (rows, columns))
        try:
            lattice, found = _fit(points, *sizes)
        except _WrongNumberError as error:
            wrong.append((error.columns, error.rows) if swapped else (error.rows, error.columns))
            continue
        if swapped:
            lattice = Lattice(lattice.columns[:, ::-1], lattice.rows[:, ::-1])
        if best is None or found > 1.01 * best[0]:
            best = found, lattice
        if found > 0.98 * len(centres):
            break
    if best is None:
        raise InputError(_message(wrong, rows, columns, name))
    _check(best[1], centres, name)
    return best[1]


def _fit(centres: NDArray[np.float64], rows: int, columns: int) -> tuple[Lattice, int]:
    """Fit a lattice whose rows are straight; return it and how many cells it fills."""
    distance = _usual_distance(centres)
    y, x = centres.T
    slope = slope_of_lines(y, x, distance)
    across = y - slope * (x - x.mean())
    # Perpendicular to the rows, which is right but for a shear, and that a shift of each row makes good.
    along = x + slope * (y - y.mean())
    row_lines = find_lines(across, rows, distance)
    if isinstance(row_lines, int):
        direct = find_lines(along, columns, distance)
        raise _WrongNumberError(row_lines, direct if isinstance(direct, int) else columns)
    row = _nearest(row_lines, across)
    along = along + _align(along, row, rows, distance)[row]
    column_lines = find_lines(along, columns, distance)
    if isinstance(column_lines, int):
        raise _WrongNumberError(rows, column_lines)
    column = _nearest(column_lines, along)
    lattice = _additive(centres, row, column, rows, columns)
    owner = assign_cells(lattice, centres)
    for _ in range(_ROUNDS):
        kept, before = owner >= 0, owner
        lattice = _additive(centres[kept], *np.divmod(owner[kept], columns), rows, columns)
        owner = assign_cells(lattice, centres)
        if np.array_equal(owner, before):
            break
    return lattice, int((owner >= 0).sum())


def assign_cells(lattice: Lattice, centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """Assign points to cells: each to the nearest one within reach, and of several in a cell only the nearest.

    Args:
        lattice: The lattice.
        centres: (N, 2) positions (y, x), in pixels.

    Returns:
        (N,) cell, `row * columns + column` from 0, or -1.
    """
    middles, reach = lattice.middles.reshape(-1, 2), _REACH * lattice.spacing().ravel()
    distance, cell = KDTree(middles).query(centres)
    cell = np.where(distance <= reach[cell], cell, -1)
    order = np.lexsort((distance, cell))
    double = np.zeros(len(cell), bool)
    double[order[1:]] = (cell[order[1:]] == cell[order[:-1]]) & (cell[order[1:]] >= 0)
    return np.where(double, -1, cell)


def _usual_distance(centres: NDArray[np.float64]) -> float:
    if len(centres) == 1:
        return 1.0
    return float(max(np.median(KDTree(centres).query(centres, k=2)[0][:, 1]), 1.0))


def _nearest(lines: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.searchsorted((lines[1:] + lines[:-1]) / 2, values)


def _align(along: NDArray[np.float64], row: NDArray[np.int64], rows: int, distance: float) -> NDArray[np.float64]:
    """Find the shift of each row, (rows,), that brings its marks below those of the rows before it."""
    width = distance / 20
    margin = int(np.ceil(3 * distance / width))
    bins = ((along - along.min()) / width).astype(np.int64) + margin
    length = int(bins.max()) + margin + 1
    profiles = np.zeros((rows, length))
    np.add.at(profiles, (row, bins), 1)
    smooth = np.exp(-0.5 * (np.arange(-9, 10) / 3) ** 2)
    profiles = np.apply_along_axis(np.convolve, 1, profiles, smooth, "same")
    numbers = np.bincount(row, minlength=rows)
    gaps = [np.diff(np.sort(along[row == each])) for each in np.argsort(-numbers)[:20]]
    pitch = float(np.median(np.concatenate(gaps))) if len(gaps[0]) else distance
    reach = min(int(_LARGEST_SHIFT * pitch / width), length - 1)
    offsets = np.arange(-reach, reach + 1)
    start = int(np.argmax(numbers))
    shifts = np.zeros(rows)
    for order in (range(start, rows), range(start, -1, -1)):
        reference, shift = np.zeros(length), 0
        for each in order:
            if each != start and numbers[each]:
                moved = np.roll(profiles[each], shift)
                matches = np.array([reference @ np.roll(moved, offset) for offset in offsets])
                # A shift by a whole column also matches, but for the ends: the smaller of such shifts.
                shift += int(offsets[np.argmax(matches * (1 - 0.3 * np.abs(offsets) * width / pitch))])
            shifts[each] = shift * width
            reference = 0.7 * reference + np.roll(profiles[each], shift)
    return shifts


def _additive(
    centres: NDArray[np.float64], row: NDArray[np.int64], column: NDArray[np.int64], rows: int, columns: int
) -> Lattice:
    """Fit the vectors of rows and columns to marks of known cells, by medians."""
    seen = np.full((rows, columns, 2), np.nan)
    seen[row, column] = centres
    row_vectors = np.zeros((rows, 2))
    column_vectors = _filled_medians(seen, axis=0)
    for _ in range(6):
        row_vectors = _filled_medians(seen - column_vectors[None], axis=1)
        column_vectors = _filled_medians(seen - row_vectors[:, None], axis=0)
    return Lattice(row_vectors, column_vectors)


def _filled_medians(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return medians along an axis; a line without any mark lies between its neighbours."""
    known = np.asarray(np.isfinite(values[..., 0]).any(axis=axis))
    medians = np.zeros((len(known), 2))
    medians[known] = np.nanmedian(values[:, known] if axis == 0 else values[known], axis=axis)
    places = np.arange(len(known))
    for each in (0, 1):
        medians[:, each] = np.interp(places, places[known], medians[known, each])
    return medians


def _check(lattice: Lattice, centres: NDArray[np.float64], name: str) -> None:
    rows, columns = len(lattice.rows), len(lattice.columns)
    middles = lattice.middles.reshape(-1, 2)
    advice = "check --rows, --cols and the mask."
    for vectors, axis, word in ((lattice.rows, 0, "rows"), (lattice.columns, 1, "columns")):
        gaps = np.diff(vectors[:, axis])
        if len(gaps) and gaps.min() < _CLOSEST_LINES * np.median(gaps):
            closest = int(np.argmin(gaps)) + 1
            raise InputError(f"{name}: {word} {closest} and {closest + 1} would be the same marks; {advice}")
    distance, nearest = KDTree(middles).query(centres)
    inside = distance <= _REACH * lattice.spacing().ravel()[nearest]
    numbers = np.bincount(nearest[inside], minlength=rows * columns).reshape(rows, columns)
    for axis, word, vectors in ((1, "row", lattice.rows[:, 0]), (0, "column", lattice.columns[:, 1])):
        doubles = (numbers > 1).mean(axis=axis)
        if doubles.max() > _MOST_DOUBLE:
            raise InputError(
                f"{name}: most cells of {word} {int(np.argmax(doubles)) + 1} would hold two marks; {advice}"
            )
        # A few specks of dirt beside the lattice must not become its first or last line.
        filled = (numbers > 0).mean(axis=axis)
        for line in (0, len(filled) - 1):
            if filled[line] < _FEWEST_AT_BORDER:
                raise InputError(f"{name}: only {filled[line]:.0%} of {word} {line + 1} would hold a mark; {advice}")
        # Nor must dirt between two lines become a line, which would be closer to them than lines are.
        gaps = np.diff(vectors)
        for line in range(1, len(filled) - 1):
            if filled[line] < _FEWEST_AT_BORDER and gaps[line - 1 : line + 1].min() < _LEAST_GAP * np.median(gaps):
                raise InputError(
                    f"{name}: only {filled[line]:.0%} of {word} {line + 1}, close to the next, would hold a mark; "
                    f"{advice}"
                )
    share = float((numbers > 0).mean())
    if share < _FEWEST_FILLED:
        raise InputError(f"{name}: only {share:.0%} of {rows} x {columns} cells would hold a mark; {advice}")
    for word, expected, fewest in _further_lines(lattice):
        # Without regions the distances are infinite.
        distances, _ = KDTree(centres[~inside]).query(expected)
        there = int((distances <= _REACH * np.median(lattice.spacing())).sum())
        if there >= max(fewest, _MOST_OF_FURTHER * len(expected)):
            raise InputError(
                f"{name}: {there} regions of the size of a mark lie where one more {word} would be; {advice}"
            )
    # Dirt far from the lattice says nothing about it.
    low, high = middles.min(axis=0), middles.max(axis=0)
    margin = 0.5 * _usual_distance(middles)
    near = ((centres > low - margin) & (centres < high + margin)).all(axis=1)
    homeless = int((near & ~inside).sum())
    if homeless > max(_MOST_HOMELESS * len(centres), 2):
        raise InputError(
            f"{name}: {homeless} of {len(centres)} regions of the size of a mark lie between the cells of a "
            f"{rows} x {columns} lattice; {advice}"
        )


def _further_lines(lattice: Lattice) -> Iterator[tuple[str, NDArray[np.float64], int]]:
    """Yield where there is room for one more line: beyond each border and in wide gaps.

    Yields:
        Whether it is a row or a column, the middles of its marks, and how many regions there may be marks, not dirt.
    """
    pairs = (("row", lattice.rows, lattice.columns, 0), ("column", lattice.columns, lattice.rows, 1))
    for word, lines, others, axis in pairs:
        if len(lines) > 1:
            for first, second in ((0, 1), (-1, -2)):
                yield word, 2 * lines[first] - lines[second] + others, 3
            gaps = np.diff(lines[:, axis])
            for line in np.flatnonzero(gaps > _WIDE_GAP * np.median(gaps)):
                yield word, (lines[line] + lines[line + 1]) / 2 + others, 2


def _message(wrong: list[tuple[int | None, int | None]], rows: int, columns: int, name: str) -> str:
    def errors(found: tuple[int | None, int | None]) -> tuple[int, int]:
        differences = [abs((each or 0) - wanted) for each, wanted in zip(found, (rows, columns), strict=True)]
        return sum(difference > 0 for difference in differences), sum(differences)

    found_rows, found_columns = min(wrong, key=errors)
    hint = " They seem to be swapped." if (found_rows, found_columns) == (columns, rows) else ""
    return (
        f"{name}: shows {found_rows} x {found_columns} marks (rows x columns), not {rows} x {columns}; correct --rows "
        f"and --cols, or leave out of the mask what does not belong to the acquisition.{hint}"
    )
