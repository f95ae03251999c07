"""`nucseg predict`: the nuclei of images of any size, as files."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nucseg.commands.options import OutputPath, check_inputs, field_options, given
from nucseg.commands.run import check_run, engine_options, found_images, on_engine, report_image, summary_line
from nucseg.core.validation import checked
from nucseg.reporting.options import BatchOptions

if TYPE_CHECKING:
    from nucseg.batch.result import ImageResult
    from nucseg.inference.engine import Engine


@click.command()
@click.argument("images", metavar="INPUT...", nargs=-1, required=True, callback=check_inputs)
@click.option(
    "-o", "--output", required=True, type=OutputPath(file_okay=False, path_type=Path), help="Folder for the results."
)
@click.option("--model", default="stardist", show_default=True, help="Name of a model, or its folder.")
@field_options(BatchOptions, renamed={"formats": "format"})
@engine_options
def predict(
    images: tuple[str, ...], output: Path, model: str, workers: int, scheduler: str | None, **fields: Any
) -> None:
    """Find the nuclei in images of any size.

    INPUT is an image, a folder, a pattern such as 'slides/*.tif', an OME-Zarr plate, or a URL (s3://, https://).
    Any TIFF, PNG, JPEG or OME-Zarr image can be read, and with extra packages slides and files of microscopes.
    Results are written to OUTPUT/<format>/<image>.<suffix>, with one row per image in OUTPUT/summary.csv and, with
    the format table, all nuclei in OUTPUT/table.csv.

    If an image fails, the others are still processed, and the exit status is 1.
    """
    started = time.perf_counter()
    check_run(output, workers, scheduler)
    from nucseg.batch.predict import predict_images
    from nucseg.inference.predictor import Predictor
    from nucseg.models.registry import resolve_model
    from nucseg.models.version import model_version

    folder = resolve_model(model)
    found = found_images(images, output)
    options = checked(BatchOptions, given(fields))
    predictor = Predictor.load(folder, options)
    trained = (predictor.bundle.run.created or "")[:10] or "at an unknown date"
    click.echo(f"Model: {folder.name}, trained {trained}, version {model_version(folder)}")

    def run(engine: "Engine") -> "list[ImageResult]":
        return predict_images(found, output, predictor, engine, options, model=folder, progress=_report)

    outcomes = on_engine(run, workers, scheduler, folder, predictor)
    results = [output / "summary.csv"]
    if not all(outcome.error for outcome in outcomes):
        results += [output / ("table.csv" if each == "table" else each) for each in options.formats]
    click.echo(summary_line(outcomes, results, time.perf_counter() - started))
    if not all(outcome.is_whole for outcome in outcomes):
        sys.exit(1)


def _report(outcome: "ImageResult") -> None:
    report_image(outcome, ", finished by an earlier run" if outcome.skipped else f", {outcome.seconds:.1f} s")
