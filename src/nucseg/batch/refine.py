"""Write the results of a folder again from the nuclei that are stored in it, without predicting."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nucseg.batch.nuclei import NucleiResults
from nucseg.batch.result import ImageResult
from nucseg.batch.results import origin_of, result_settings, write_results
from nucseg.batch.stored import load_stored, rows_with_results
from nucseg.batch.summary import NUCLEI, write_tables
from nucseg.core.errors import InputError, NucsegError
from nucseg.core.validation import checked
from nucseg.images.find import FoundImage
from nucseg.reporting.formats.registry import FORMATS, format_paths
from nucseg.reporting.options import BatchOptions

FILTERS = ("score_threshold", "min_area", "max_area", "exclude_border")
"""Options that each refinement sets anew: those that are not given have no effect, whatever was given before."""

OPTIONS = ("formats", "measure", "expand", "link", "link_iou", *FILTERS, "pixel_size")
"""The fields of `BatchOptions` that can be changed without predicting."""


def refine_results(
    output: Path, changes: Mapping[str, Any], *, progress: Callable[[ImageResult], None] | None = None
) -> list[ImageResult]:
    """Write all formats of all images again; an image that fails keeps its results.

    Args:
        output: A folder that `nucseg predict` has written.
        changes: Fields among `OPTIONS`; of the others, the filters are off, and the rest is as it was. Formats are
            added to those that are there.
        progress: Called with the outcome of each image.

    Returns:
        The outcomes, in the order of the summary.

    Raises:
        InputError: The folder holds no results.
        StorageError: The summary cannot be written.
    """
    outcomes = []
    for row in rows_with_results(output):
        outcomes.append(_outcome(output, row, changes))
        if progress:
            progress(outcomes[-1])
    NUCLEI.write(output, outcomes)
    write_tables(output)
    return outcomes


def _outcome(output: Path, row: dict[str, str], changes: Mapping[str, Any]) -> ImageResult:
    started = time.perf_counter()
    try:
        outcome = _refined(output, row, changes)
    except (NucsegError, OSError) as error:
        why = " ".join(str(error).split())
        outcome = ImageResult(row["source"], row["image"], error=why, has_results=True)
    return replace(outcome, seconds=time.perf_counter() - started)


def _refined(output: Path, row: dict[str, str], changes: Mapping[str, Any]) -> ImageResult:
    stored = load_stored(output, row)
    written = [each for each in FORMATS if all(path.exists() for path in format_paths(output, row["image"], [each]))]
    there = [each for each in written if each != "tracks"]  # which linking adds by itself
    formats = tuple(dict.fromkeys([*there, *changes.get("formats", ())]))
    unset = {field: BatchOptions.model_fields[field].default for field in FILTERS}
    options = checked(
        BatchOptions, {**stored.options, **unset, **changes, "formats": formats, "overwrite": True, "resume": False}
    )
    facts, prediction = stored.facts[0], stored.prediction
    if options.score_threshold is not None and np.float32(options.score_threshold) < np.float32(facts.threshold):
        raise InputError(
            f"{row['source']}: nuclei with scores below {facts.threshold:g} are not stored; for --score-threshold "
            f"{options.score_threshold:g} predict it again."
        )
    image, stack = FoundImage(facts.image, row["image"]), stored.stack
    results = NucleiResults(options)
    nuclei, sources = stored.opened(options, results)
    settings = result_settings({**prediction, "plane": list(options.plane)}, options, results, image)
    if options.score_threshold is None:
        settings["score_threshold"] = prediction["score_threshold"]
    record = replace(stored.record, settings=settings)
    threshold = facts.threshold if options.score_threshold is None else options.score_threshold
    origin = origin_of(replace(facts, threshold=threshold), str(prediction["model"]))
    outcome = write_results(nuclei, sources, stack, image, output, results, record, options, origin)
    return replace(outcome, image=row["source"])
