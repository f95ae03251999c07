from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from nucseg.datasets.drawn_marks.shapes import choose_shape


@dataclass(frozen=True)
class DrawnGrid:
    """A mask of marks of known cells.

    Attributes:
        mask: (H, W) bool.
        numbers: (H, W) int32, the true number of each pixel of a mark; dirt and bridges have none.
        rows: Rows of the grid.
        columns: Columns of the grid.
    """

    mask: NDArray[np.bool_]
    numbers: NDArray[np.int32]
    rows: int
    columns: int


@pytest.fixture(scope="session")
def draw_grid() -> Callable[..., DrawnGrid]:
    return _draw_grid


def _draw_grid(
    seed: int,
    rows: int,
    columns: int,
    degrees: float,
    *,
    missing: float = 0.1,
    merged: float = 0.05,
    shifted: float = 0.0,
    dirt: float = 0.1,
) -> DrawnGrid:
    """Draw marks of one shape on a turned, unevenly spaced grid; `merged` is the share of marks in joined pairs."""
    rng = np.random.default_rng(seed)
    pitch = rng.uniform(25, 50)
    y = np.cumsum(pitch * rng.uniform(0.8, 1.3) * rng.uniform(0.75, 1.3, rows))
    x = np.cumsum(pitch * rng.uniform(0.75, 1.3, columns))
    middles = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1)
    middles[..., 1] += rng.uniform(-shifted, shifted, rows)[:, None] * pitch
    turn = np.deg2rad(degrees)
    middles = middles @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middles += pitch * rng.normal(0, 0.05, middles.shape).clip(-0.1, 0.1)
    middles -= middles.min(axis=(0, 1)) - 2 * pitch
    height, width = (middles.max(axis=(0, 1)) + 2 * pitch).astype(int)
    numbers = np.zeros((height, width), np.int32)
    shape, diameter = choose_shape(rng), pitch * rng.uniform(0.42, 0.6)
    there = rng.random((rows, columns)) >= missing
    for row, column in np.argwhere(there):
        contours = [
            np.round(16 * (middles[row, column] + diameter * each)[:, ::-1]).astype(np.int32) for each in shape()
        ]
        cv2.fillPoly(numbers, contours, int(row * columns + column + 1), cv2.LINE_8, 4)
    mask = (numbers > 0).astype(np.uint8)
    for _ in range(round(merged * rows * columns / 2)):
        row, column = rng.integers([rows, columns])
        other = (row + 1, column) if rng.random() < 0.5 else (row, column + 1)
        if other[0] < rows and other[1] < columns and there[row, column] and there[other]:
            _bridge(mask, numbers, int(row * columns + column + 1), int(other[0] * columns + other[1] + 1))
    for _ in range(round(dirt * rows * columns)):
        cv2.circle(mask, rng.integers([width, height]).tolist(), int(rng.integers(1, max(diameter * 0.12, 2))), 1, -1)
    if dirt:
        cv2.ellipse(mask, (int(width * 0.7), 10), (int(diameter * 0.8), int(diameter * 0.5)), 30, 0, 360, 1, -1)
    return DrawnGrid(mask > 0, numbers, rows, columns)


def _bridge(mask: NDArray[np.uint8], numbers: NDArray[np.int32], first: int, second: int) -> None:
    ends = [np.argwhere(numbers == number) for number in (first, second)]
    if all(len(end) for end in ends):
        distances = np.linalg.norm(ends[0][:, None] - ends[1][None], axis=2)
        nearest = np.unravel_index(distances.argmin(), distances.shape)
        start, stop = (end[index][::-1].tolist() for end, index in zip(ends, nearest, strict=True))
        cv2.line(mask, start, stop, 1, 3)
