"""Kaggle's masks as CSV: `ImageId,EncodedPixels`, one row per nucleus."""

import csv
from pathlib import Path

from nucseg.core.files import atomic_file
from nucseg.images.source import ImageSource
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.reporting.formats.runs import nucleus_runs


def write(nuclei: StitchedLabels, source: ImageSource, path: Path, name: str) -> None:
    """Write one row per nucleus; one row with an empty mask where nothing was found.

    Source: https://www.kaggle.com/c/data-science-bowl-2018/overview/evaluation

    Args:
        nuclei: The nuclei found.
        source: Not used.
        path: The file.
        name: Value of `ImageId`.
    """
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["ImageId", "EncodedPixels"])
        for _, runs in nucleus_runs(nuclei):
            rows.writerows([name, " ".join(map(str, each.ravel().tolist()))] for each in runs)
        if not len(nuclei):
            rows.writerow([name, ""])
