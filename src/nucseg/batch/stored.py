"""The nuclei that a folder of results stores, with the images that they were found in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nucseg.batch.nuclei import NucleiResults
from nucseg.batch.record import ImageRecord, NucleiFacts, plane_record
from nucseg.batch.results import image_version, on_demand, plane_opener
from nucseg.batch.summary import NUCLEI, WRITTEN
from nucseg.core.errors import InputError
from nucseg.images.content import Stack
from nucseg.images.find import FoundImage
from nucseg.images.open import open_content
from nucseg.images.source import ImageSource
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.reporting.options import BatchOptions


@dataclass(frozen=True)
class StoredImage:
    """An image of a folder of results.

    Attributes:
        name: Name of its results.
        record: Its record.
        options: With which its results were written.
        stack: Which planes were predicted.
        facts: How the nuclei of each plane were found.
        prediction: Everything that the nuclei depend on.
        nuclei: All nuclei that were found in each plane, before any filter.
    """

    name: str
    record: ImageRecord
    options: Mapping[str, Any]
    stack: Stack
    facts: tuple[NucleiFacts, ...]
    prediction: Mapping[str, Any]
    nuclei: tuple[StitchedLabels, ...]

    def opened(self, options: BatchOptions, results: NucleiResults) -> tuple[list[StitchedLabels], list[ImageSource]]:
        """Return the nuclei of each plane from a score on, and the planes, whose pixels are read when they are needed.

        Args:
            options: With which the results are to be written.
            results: What is to be written.

        Raises:
            InputError: The image is missing or has changed since, or cannot be written so.
        """
        url = self.facts[0].image
        if image_version(url) != self.prediction["content"]:
            raise InputError(f"{url}: is missing or has changed since its nuclei were found; predict it again.")
        opened = plane_opener(open_content(url, options.scene), options)
        first = results.opened(opened(self.stack.planes[0]), FoundImage(url, self.name), self.stack)
        sources = [
            replace(on_demand(first, opened, plane), notes=first.notes + each.notes)
            for plane, each in zip(self.stack.planes, self.facts, strict=True)
        ]
        for source, each in zip(sources, self.facts, strict=True):
            source.mark_incomplete(each.incomplete)
        threshold = options.score_threshold
        nuclei = [
            found if threshold is None else found.only(found.scores >= np.float32(threshold)) for found in self.nuclei
        ]
        return nuclei, sources


def rows_with_results(output: Path) -> list[dict[str, str]]:
    """Return the rows of the summary of a folder whose images have results.

    Raises:
        InputError: The folder holds no results.
    """
    rows = [row for row in NUCLEI.rows(output) if row["status"] in WRITTEN]
    if not rows:
        raise InputError(f"{output}: holds no results of `nucseg predict`; give the folder that it wrote (-o).")
    return rows


def load_stored(output: Path, row: Mapping[str, str]) -> StoredImage:
    """Load what a folder stores of one image.

    Args:
        output: A folder that `nucseg predict` has written.
        row: The image's row of the summary.

    Raises:
        InputError: Its nuclei are not stored.
    """
    name = row["image"]
    stored = ImageRecord(output, NUCLEI.record(name), {}, {})
    summary, stack = stored.summary(), stored.stack()
    records = [replace(stored, name=NUCLEI.record(plane_record(name, plane, stack))) for plane in stack.planes]
    known = [(each.facts(), each.nuclei()) for each in records]
    found = [(*facts, nuclei) for facts, nuclei in known if facts and nuclei is not None]
    if not summary or "options" not in summary or len(found) < len(records):
        raise InputError(
            f"{row['source']}: its nuclei are not stored in {output}; predict it again (`nucseg predict --overwrite`)."
        )
    facts, predictions, nuclei = zip(*found, strict=True)
    return StoredImage(name, stored, summary["options"], stack, facts, predictions[0], nuclei)
