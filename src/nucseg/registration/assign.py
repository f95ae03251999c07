"""Which pixels of a mask belong to which cell of the lattice."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from nucseg.registration.lattice import Lattice, assign_cells
from nucseg.registration.regions import Regions

FOUND, MERGED, PIECES, MISSING = "found", "merged", "pieces", "missing"
"""What a cell holds: one region; a part of a region of several marks; several regions; no mark."""

# Shares of the area of a usual mark: of a region that may be the only one of a cell, of a piece beside others, and of
# the part of a large region that lies where the mark of a cell is expected.
_SMALLEST_MARK, _SMALLEST_PIECE, _SMALLEST_PART = 0.15, 0.08, 0.35
_MAX_SAMPLES = 400
# The mark is expected where this share of the usual marks has it.
_USUAL_SHAPE = 0.35
# In distances of cells: how far merged marks, pieces of marks, and the middles of small marks are aside from where they
# are expected.
_MARK_ASIDE, _PIECE_ASIDE, _MIDDLE_ASIDE = 0.2, 0.1, 0.35


@dataclass(frozen=True)
class Assignment:
    """The mark of each cell.

    Attributes:
        numbers: (H, W) int32, `row * columns + column + 1` in the mark of a cell, 0 elsewhere.
        status: (R, C) FOUND, MERGED, PIECES or MISSING.
        left_out: Regions of at least half the area of a usual mark that belong to no cell.
    """

    numbers: NDArray[np.int32]
    status: NDArray[np.str_]
    left_out: int


def assign_marks(regions: Regions, lattice: Lattice, area: float) -> Assignment:
    """Assign to each cell its mark: one region, several pieces, or its part of a region that several marks form.

    Args:
        regions: The regions of the mask.
        lattice: The lattice that was fitted to them.
        area: Area of a usual mark, in pixels.

    Returns:
        The numbers of the pixels and the status of the cells. No region outside the lattice has a number.
    """
    rows, columns = len(lattice.rows), len(lattice.columns)
    whole = regions.whole_marks(area)
    owner = np.full(len(regions.areas), -1)
    owner[whole] = assign_cells(lattice, regions.centres[whole])
    shape = _usual_shape(regions, np.flatnonzero(owner >= 0), lattice)
    near = KDTree(lattice.middles.reshape(-1, 2))
    spacing = lattice.spacing().ravel()

    number_of = np.append(0, owner + 1)
    taken = np.zeros(rows * columns, int)
    np.add.at(taken, owner[owner >= 0], 1)
    split: dict[int, NDArray[np.int32]] = {}
    merged = np.zeros(rows * columns, bool)
    left_out = 0
    # Whole marks have their cells; of the others, the largest first.
    for index in np.argsort(-regions.areas, kind="stable"):
        if owner[index] >= 0:
            continue
        if regions.areas[index] < _SMALLEST_PIECE * area:
            break
        if _SMALLEST_MARK * area <= regions.areas[index] <= area:
            distance, nearest = near.query(regions.centres[index])
            if distance <= _MIDDLE_ASIDE * spacing[nearest] and not taken[nearest]:
                taken[nearest], number_of[index + 1] = 1, nearest + 1
                continue
        parts, cells = _parts(regions, int(index), lattice, near, spacing, shape, bool(regions.areas[index] > area))
        sizes = np.bincount(parts[parts >= 0], minlength=len(cells))
        needed = _SMALLEST_PART * area
        if regions.areas[index] <= area:
            # A small region is one mark, or a piece of one: what matters is how much of it lies where a mark may be.
            needed = 0.5 * regions.areas[index]
            if len(cells) and not taken[cells[int(np.argmax(sizes))]]:
                needed = max(needed, _SMALLEST_MARK * area)
        free = (taken[cells] == 0) if regions.areas[index] > area else np.ones(len(cells), bool)
        chosen = np.flatnonzero((sizes >= needed) & free)
        left_out += not len(chosen) and regions.areas[index] >= 0.5 * area
        if len(chosen) == 0:
            continue
        taken[cells[chosen]] += 1
        if len(chosen) == 1:
            number_of[index + 1] = cells[chosen[0]] + 1
            continue
        merged[cells[chosen]] = True
        split[int(index)] = _divide(regions, int(index), parts, chosen, cells)

    numbers = number_of.astype(np.int32)[regions.labels]
    for index, part in split.items():
        window = regions.windows[index]
        numbers[window][part > 0] = part[part > 0]
    status = np.where(taken == 0, MISSING, np.where(merged, MERGED, np.where(taken > 1, PIECES, FOUND)))
    return Assignment(numbers, status.reshape(rows, columns), left_out)


def _usual_shape(regions: Regions, marks: NDArray[np.intp], lattice: Lattice) -> NDArray[np.bool_]:
    """Return where a mark usually has pixels round its expected middle, in a square of odd side."""
    marks = marks[:: max(len(marks) // _MAX_SAMPLES, 1)]
    half = max(max(side.stop - side.start for side in regions.windows[index]) for index in marks)
    total = np.zeros((2 * half + 1, 2 * half + 1))
    for index in marks:
        window = regions.windows[index]
        rows, columns = np.nonzero(regions.labels[window] == index + 1)
        rows = rows + window[0].start - round(regions.centres[index, 0]) + half
        columns = columns + window[1].start - round(regions.centres[index, 1]) + half
        total[rows, columns] += 1
    share = total / len(marks)
    return share >= min(_USUAL_SHAPE, share.max())


def _parts(
    regions: Regions,
    index: int,
    lattice: Lattice,
    near: KDTree,
    spacing: NDArray[np.float64],
    shape: NDArray[np.bool_],
    merged: bool,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the expected mark that each pixel of a region is at.

    Returns:
        In the region's window, the position in `cells` of the nearest expected mark, -1 outside the region and where no
        mark is within the tolerance; and the cells.
    """
    window = regions.windows[index]
    start = np.array([side.start for side in window])
    inside = regions.labels[window] == index + 1
    middle = start + np.array(inside.shape) / 2
    half = len(shape) // 2
    candidates = np.sort(near.query_ball_point(middle, np.hypot(*inside.shape) / 2 + half)).astype(np.int64)
    distances = []
    for cell in candidates:
        # The shape is pasted into the window with a margin, in which it may lie for the most part.
        canvas = np.ones((inside.shape[0] + 4 * half, inside.shape[1] + 4 * half), np.uint8)
        row, column = np.round(lattice.middles.reshape(-1, 2)[cell] - start).astype(int) + 2 * half
        if not (half <= row < canvas.shape[0] - half and half <= column < canvas.shape[1] - half):
            distances.append(np.full(inside.shape, np.inf))
            continue
        canvas[row - half : row + half + 1, column - half : column + half + 1] = ~shape
        away = cv2.distanceTransform(canvas, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        distances.append(away[2 * half :, 2 * half :][: inside.shape[0], : inside.shape[1]])
    if not distances:
        return np.full(inside.shape, -1), candidates
    stack = np.stack(distances)
    parts = stack.argmin(axis=0)
    aside = _MARK_ASIDE if merged else _PIECE_ASIDE
    tolerance = aside * np.minimum(spacing[candidates], 10 * half)
    return np.where(inside & (stack.min(axis=0) <= np.maximum(tolerance[parts], 1)), parts, -1), candidates


def _divide(
    regions: Regions, index: int, parts: NDArray[np.int64], chosen: NDArray[np.intp], cells: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Return the number of each pixel of a region, in its window: that of the nearest pixel whose cell is known."""
    inside = regions.labels[regions.windows[index]] == index + 1
    known = np.isin(parts, chosen)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.where(inside, cells[parts[tuple(nearest)]] + 1, 0).astype(np.int32)
