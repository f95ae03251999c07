"""`nucseg predict`: the nuclei of images of any size, as files."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nucseg.core.errors import ConfigError
from nucseg.models.protocols import LOWEST_SCORE
from nucseg.reporting.formats.registry import FORMATS

if TYPE_CHECKING:
    from nucseg.batch.outcome import Outcome


class _Formats(click.ParamType):
    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        given = tuple(dict.fromkeys(each.strip() for each in str(value).split(",")))
        unknown = [each for each in given if each not in FORMATS]
        if unknown:
            self.fail(f"{', '.join(unknown)}; allowed are {', '.join(FORMATS)}", param, ctx)
        return given


class _Scale(click.ParamType):
    name = "auto|factor"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return "auto" if value == "auto" else click.FloatRange(0.05, 20).convert(value, param, ctx)


@click.command()
@click.argument("images", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the results."
)
@click.option("--model", default="stardist", show_default=True, help="Name of a model, or its folder.")
@click.option(
    "--format", "formats", default="labels", show_default=True, type=_Formats(), help=f"Some of {', '.join(FORMATS)}."
)
@click.option("--channel", help="Channel, page or plane of a file that holds several: its name, or its number from 0.")
@click.option(
    "--pixel-size",
    type=click.FloatRange(0, min_open=True),
    help="Pixel size in micrometres, instead of the image's.",
)
@click.option(
    "--scale",
    default="auto",
    show_default=True,
    type=_Scale(),
    help="Predict at this scale: below 1 for nuclei larger than those the model knows. `auto` finds it.",
)
@click.option(
    "--score-threshold",
    type=click.FloatRange(LOWEST_SCORE, 1),
    help="Lowest score, instead of the model's own.",
)
@click.option("--tile", type=click.IntRange(64), help="Side of a tile of a large image, in pixels.")
@click.option(
    "--precision",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "float32", "bfloat16"]),
    help="Precision of the network.",
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes on this machine.")
@click.option("--scheduler", help="Address of a running Dask cluster, such as tcp://10.0.0.1:8786.")
@click.option("--resume", is_flag=True, help="Skip the images and tiles that an earlier run has finished.")
@click.option("--overwrite", is_flag=True, help="Replace existing results.")
def predict(
    images: tuple[str, ...],
    output: Path,
    model: str,
    scale: Any,
    precision: Any,
    workers: int,
    scheduler: str | None,
    **options: Any,
) -> None:
    """Find the nuclei in images of any size.

    INPUT is an image, a folder, a pattern such as 'slides/*.tif', an OME-Zarr plate, or a URL (s3://, https://). TIFF
    of any kind, PNG, JPEG and OME-Zarr are read. Results are OUTPUT/<format>/<image>.<suffix>, with one row an image in
    OUTPUT/summary.csv and, with the format table, all nuclei in OUTPUT/table.csv.

    An image that fails does not stop the others; the exit status is 1 then.
    """
    started = time.perf_counter()
    if scheduler and workers > 1:
        raise click.UsageError("--workers starts processes on this machine; a --scheduler has its own.")
    from nucseg.batch.predict import BatchOptions, predict_images
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
    predictor = Predictor.load(folder, scale=scale, precision=precision)

    def run(engine: Engine, at_once: int) -> "list[Outcome]":
        batch = BatchOptions(images_at_once=at_once, **options)
        return predict_images(found.images, output, predictor, engine, batch, model=folder, progress=_tell)

    if scheduler or workers > 1:
        from nucseg.inference.cluster import DaskEngine, connected

        with connected(workers, scheduler) as client:
            outcomes = run(DaskEngine(client, folder, predictor), 2 * max(workers, len(client.nthreads())))
    else:
        outcomes = run(LocalEngine(predictor.bundle.model), 2)
    click.echo(_summary(outcomes, output, options["formats"], time.perf_counter() - started))
    if any(outcome.error for outcome in outcomes):
        sys.exit(1)


def _tell(outcome: "Outcome") -> None:
    if outcome.error:
        click.echo(f"Failed: {outcome.error}", err=True)
        return
    how = "finished by an earlier run" if outcome.skipped else f"{outcome.seconds:.1f} s"
    click.echo(f"{outcome.name}: {outcome.nuclei} nuclei, {how}")
    for note in outcome.notes:
        click.echo(f"  Note: {note}")


def _summary(outcomes: "list[Outcome]", output: Path, formats: tuple[str, ...], seconds: float) -> str:
    failed = sum(1 for outcome in outcomes if outcome.error)
    nuclei = sum(outcome.nuclei or 0 for outcome in outcomes)
    images = f"{len(outcomes)} image{'' if len(outcomes) == 1 else 's'}{f' ({failed} failed)' if failed else ''}"
    results = [output / "summary.csv"]
    if failed < len(outcomes):
        results += [output / ("table.csv" if each == "table" else each) for each in formats]
    return f"{images}, {nuclei} nuclei in {seconds:.0f} s -> {', '.join(map(str, results))}"
