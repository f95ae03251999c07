"""`nucseg refine`: results written again from the nuclei that are stored, without predicting."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nucseg.commands.options import field_options, given
from nucseg.commands.run import report_image, summary_line
from nucseg.reporting.options import BatchOptions

if TYPE_CHECKING:
    pass


@click.command()
@click.argument("results", type=click.Path(exists=True, file_okay=False, path_type=Path))
@field_options(
    BatchOptions,
    "score_threshold",
    "min_area",
    "max_area",
    "exclude_border",
    "measure",
    "expand",
    "link",
    "link_iou",
    "formats",
    "pixel_size",
    renamed={"formats": "format"},
    described={
        "score_threshold": "Lowest score of a nucleus to keep, at least that of the prediction.",
        "formats": "Formats to write besides those that are there.",
    },
)
def refine(results: Path, **fields: Any) -> None:
    """Filter and measure nuclei again without predicting again.

    RESULTS is a folder that `nucseg predict` has written. All formats of all its images are replaced; --format adds
    more. Filters start from all nuclei that were found, including those that an earlier refinement left out; without
    options, all are restored. A score threshold below that of the prediction needs a new prediction. --measure,
    --expand and --pixel-size keep their earlier values unless they are given.

    If an image fails, it keeps its results, the others are still processed, and the exit status is 1.
    """
    started = time.perf_counter()
    from nucseg.batch.refine import refine_results

    outcomes = refine_results(results, given(fields), progress=report_image)
    click.echo(summary_line(outcomes, [results / "summary.csv"], time.perf_counter() - started))
    if not all(outcome.is_whole for outcome in outcomes):
        sys.exit(1)
