"""Register a mask: number its marks by the acquisition they belong to."""

from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.files import atomic_files
from nucseg.images.io import write_labels
from nucseg.registration.assign import MISSING, Assignment, assign_marks
from nucseg.registration.lattice import Lattice, fit_lattice
from nucseg.registration.mask import read_mask
from nucseg.registration.overlay import draw_overlay
from nucseg.registration.regions import areas_and_centres, find_regions, join_pieces

NUMBERS, TABLE, OVERLAY = "_numbers.tif", "_marks.csv", "_overlay.png"
"""Ends of the names of the files that are written."""

# Fewer pixels than this in a mark leave nothing to judge its shape by.
_LEAST_AREA = 4
# Marks never cover more; the ground of an inverted mask does.
_MOST_COVERED = 0.6


@dataclass(frozen=True)
class Registration:
    """A mask whose marks are numbered.

    Attributes:
        mask: (H, W), not 0 in marks.
        lattice: Where the cells are.
        assignment: The pixels and the status of the cells.
        table: One row per cell, row by row: `row`, `column`, `index` (all from 1), `status`, `centroid-0`, `centroid-1`
            (y and x in pixels, 0 is the middle of the first pixel) and `area` (pixels), empty where the mark is
            missing, `expected-0`, `expected-1`: where the lattice has its mark.
        notes: What looks odd, one line each.
    """

    mask: NDArray
    lattice: Lattice
    assignment: Assignment
    table: pd.DataFrame
    notes: list[str]


def register_mask(mask: NDArray, rows: int, columns: int, name: str = "the mask") -> Registration:
    """Find out which mark of a mask belongs to which cell of an acquisition's grid.

    Args:
        mask: (H, W) bool, or a label image of an integer dtype whose labels are marks.
        rows: Rows of the acquisition; they lie about horizontally, turned by 11 degrees at most.
        columns: Columns of the acquisition.
        name: Name of the mask for messages.

    Returns:
        The numbered marks; cells are numbered row by row from 1 at the top left.

    Raises:
        InputError: Fewer than one row or column, no mark, an inverted mask, or marks that do not form such a grid.
    """
    if rows < 1 or columns < 1:
        raise InputError(f"{rows} x {columns} cells: --rows and --cols must be at least 1.")
    covered = np.count_nonzero(mask) / mask.size
    if covered == 0:
        raise InputError(f"{name}: has no mark; check the mask, and the threshold if it holds probabilities.")
    if mask.dtype == bool and covered > _MOST_COVERED:
        raise InputError(f"{name}: marks would cover {covered:.0%} of it; is it inverted? Marks must be above 0.")
    cells = rows * columns
    if cells > mask.size / _LEAST_AREA:
        raise InputError(
            f"{name}: has too few pixels ({mask.shape[0]} x {mask.shape[1]}) for {rows} x {columns} marks."
        )
    regions = find_regions(mask)
    if mask.dtype == bool:
        regions = join_pieces(regions, cells)
    area = regions.usual_area(cells)
    if area < _LEAST_AREA:
        raise InputError(
            f"{name}: its regions have {area:g} pixels each, at least {_LEAST_AREA} are needed; is it a mask of marks "
            "at full resolution, and are --rows and --cols right?"
        )
    lattice = fit_lattice(regions.likely_centres(area), rows, columns, name)
    assignment = assign_marks(regions, lattice, area)
    table = _table(assignment, lattice)
    return Registration(mask, lattice, assignment, table, _notes(assignment, table, mask.shape))


def write_registration(registration: Registration, folder: Path, stem: str) -> list[Path]:
    """Write the image of numbers (uint16 TIFF, uint32 above 65,535 cells), the table and the overlay: all or none.

    Args:
        registration: What is written.
        folder: Folder for the files; created if it is missing.
        stem: Start of their names.

    Returns:
        The files.

    Raises:
        StorageError: The disk is full, read-only or not permitted; the folder is as it was.
    """
    names = [stem + end for end in (NUMBERS, TABLE, OVERLAY)]
    overlay = draw_overlay(registration.mask, registration.assignment, registration.lattice)
    with atomic_files(folder, names) as new:
        write_labels(new / names[0], registration.assignment.numbers)
        registration.table.to_csv(new / names[1], index=False, float_format="%.2f")
        iio.imwrite(new / names[2], overlay)
    return [folder / name for name in names]


def register_file(
    path: Path, rows: int, columns: int, folder: Path, threshold: float | None = None, *, stem: str | None = None
) -> tuple[Registration, list[Path]]:
    """Register the mask in a file, and write the results; see `read_mask`, `register_mask`, `write_registration`.

    Args:
        path: The mask.
        rows: Rows of the acquisition.
        columns: Columns of the acquisition.
        folder: Folder for the results.
        threshold: Lowest probability of a mark, if the file holds probabilities.
        stem: Start of the names of the results; None takes that of the mask.

    Returns:
        The registration and the files.

    Raises:
        InputError: The file cannot be used, or its marks do not form such a grid; nothing is written.
        StorageError: The results cannot be written.
    """
    registration = register_mask(read_mask(path, threshold), rows, columns, str(path))
    return registration, write_registration(registration, folder, stem or path.stem)


def _table(assignment: Assignment, lattice: Lattice) -> pd.DataFrame:
    rows, columns = assignment.status.shape
    number = np.arange(rows * columns)
    areas, centres = areas_and_centres(assignment.numbers, len(number))
    expected = lattice.middles.reshape(-1, 2)
    return pd.DataFrame(
        {
            "row": number // columns + 1,
            "column": number % columns + 1,
            "index": number + 1,
            "status": assignment.status.ravel(),
            "centroid-0": centres[:, 0],
            "centroid-1": centres[:, 1],
            "area": pd.Series(areas, dtype="Int64").mask(areas == 0),
            "expected-0": expected[:, 0],
            "expected-1": expected[:, 1],
        }
    )


def _notes(assignment: Assignment, table: pd.DataFrame, shape: tuple[int, ...]) -> list[str]:
    notes = []
    if assignment.numbers.max() > np.iinfo(np.uint16).max:
        notes.append(f"the numbers of {len(table)} cells do not fit into 16 bits; their image has 32.")
    if assignment.left_out:
        notes.append(
            f"regions of the size of a mark that belong to no cell: {assignment.left_out} (grey in the overlay); check "
            "that they are dirt."
        )
    missing = assignment.status == MISSING
    for axis, word in ((1, "row"), (0, "column")):
        empty = np.flatnonzero(missing.all(axis=axis)) + 1
        if len(empty):
            notes.append(f"no mark at all in {word} {', '.join(map(str, empty))}.")
    expected = table[["expected-0", "expected-1"]].to_numpy()
    outside = ((expected < 0) | (expected > shape)).any(axis=1)
    if outside.any():
        notes.append(f"cells outside the image: {int(outside.sum())}.")
    return notes
