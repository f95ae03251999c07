"""Kaggle's masks as CSV: `ImageId,EncodedPixels`, one row per nucleus."""

import csv
from pathlib import Path

from nucseg.core.files import atomic_file
from nucseg.measurements.field import Field
from nucseg.reporting.formats.runs import nucleus_runs


def write(field: Field, path: Path) -> None:
    """Write one row per nucleus; one row with an empty mask where nothing was found.

    Source: https://www.kaggle.com/c/data-science-bowl-2018/overview/evaluation

    Args:
        field: The nuclei, and the name that goes into `ImageId`.
        path: The file.
    """
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["ImageId", "EncodedPixels"])
        for _, runs in nucleus_runs(field.nuclei):
            rows.writerows([field.name, " ".join(map(str, each.ravel().tolist()))] for each in runs)
        if not len(field.nuclei):
            rows.writerow([field.name, ""])
