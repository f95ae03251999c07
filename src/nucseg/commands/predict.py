"""`nucseg predict`: the nuclei of images of any size, as files."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nucseg.commands.options import field_options, given
from nucseg.core.errors import ConfigError
from nucseg.reporting.formats.registry import FORMATS
from nucseg.reporting.options import BatchOptions

if TYPE_CHECKING:
    from nucseg.batch.result import ImageResult


@click.command()
@click.argument("images", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the results."
)
@click.option("--model", default="stardist", show_default=True, help="Name of a model, or its folder.")
@field_options(BatchOptions, renamed={"formats": "format"})
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1), help="Number of processes on this machine."
)
@click.option("--scheduler", help="Address of a running Dask cluster, such as tcp://10.0.0.1:8786.")
def predict(
    images: tuple[str, ...], output: Path, model: str, workers: int, scheduler: str | None, **fields: Any
) -> None:
    """Find the nuclei in images of any size.

    INPUT is an image, a folder, a pattern such as 'slides/*.tif', an OME-Zarr plate, or a URL (s3://, https://). Any
    TIFF, PNG, JPEG or OME-Zarr image can be read. Results are written to OUTPUT/<format>/<image>.<suffix>, with one row
    per image in OUTPUT/summary.csv and, with the format table, all nuclei in OUTPUT/table.csv.

    If an image fails, the others are still processed, and the exit status is 1.
    """
    started = time.perf_counter()
    if scheduler and workers > 1:
        raise click.UsageError(
            "--workers cannot be combined with --scheduler, which has its own workers; leave one of them out."
        )
    from nucseg.batch.predict import predict_images
    from nucseg.images.find import find_images
    from nucseg.inference.engine import Engine, LocalEngine
    from nucseg.inference.predictor import Predictor
    from nucseg.models.registry import resolve_model

    folder = resolve_model(model)
    if output.is_file():
        raise ConfigError(f"output: {output} is a file; give a folder.")
    found = find_images(images, [output / name for name in FORMATS])
    for note in found.notes:
        click.echo(note, err=True)
    if all(image.error for image in found.images):
        for image in found.images:
            click.echo(f"Failed: {image.error}", err=True)
        sys.exit(1)
    options = BatchOptions(**given(fields))
    predictor = Predictor.load(folder, options)

    def run(engine: Engine) -> "list[ImageResult]":
        return predict_images(found.images, output, predictor, engine, options, model=folder, progress=_report)

    if scheduler or workers > 1:
        from nucseg.inference.cluster import DaskEngine, connected

        with connected(workers, scheduler) as client:
            outcomes = run(DaskEngine(client, folder, predictor))
    else:
        outcomes = run(LocalEngine())
    click.echo(_summary(outcomes, output, options.formats, time.perf_counter() - started))
    if any(outcome.error for outcome in outcomes):
        sys.exit(1)


def _report(outcome: "ImageResult") -> None:
    if outcome.error:
        click.echo(f"Failed: {outcome.error}", err=True)
        return
    how = "finished by an earlier run" if outcome.skipped else f"{outcome.seconds:.1f} s"
    click.echo(f"{outcome.name}: {outcome.nuclei} nuclei, {how}")
    for note in outcome.notes:
        click.echo(f"  Note: {note}")


def _summary(outcomes: "list[ImageResult]", output: Path, formats: tuple[str, ...], seconds: float) -> str:
    failed = sum(1 for outcome in outcomes if outcome.error)
    nuclei = sum(outcome.nuclei or 0 for outcome in outcomes)
    images = f"{len(outcomes)} image{'' if len(outcomes) == 1 else 's'}{f' ({failed} failed)' if failed else ''}"
    results = [output / "summary.csv"]
    if failed < len(outcomes):
        results += [output / ("table.csv" if each == "table" else each) for each in formats]
    return f"{images}, {nuclei} nuclei in {seconds:.0f} s -> {', '.join(map(str, results))}"
