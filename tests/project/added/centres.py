"""Centres of nuclei as CSV: `label,row,column`; an example of a format."""

import csv
from pathlib import Path

from scipy.ndimage import center_of_mass

from nucseg.core.files import atomic_file
from nucseg.measurements.field import Field


def write(field: Field, path: Path) -> None:
    """Write the centre of mass of each nucleus."""
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["label", "row", "column"])
        for group in field.nuclei.blocks():
            for number in range(1, len(group.scores) + 1):
                row, column = center_of_mass(group.labels == number)
                rows.writerow([group.first + number - 1, row + group.window.top, column + group.window.left])
