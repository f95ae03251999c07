"""`nucseg predict`: the nuclei of images of any size, as files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nucseg.core.errors import ConfigError
from nucseg.models.segmenter import LOWEST_SCORE
from nucseg.reporting.formats.registry import FORMATS

if TYPE_CHECKING:
    from nucseg.batch.predict import Outcome


class _Formats(click.ParamType):
    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        given = tuple(dict.fromkeys(str(value).split(",")))
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
    "-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write to."
)
@click.option("--model", default="stardist", show_default=True, help="Name of a model, or its folder.")
@click.option(
    "--format", "formats", default="labels", show_default=True, type=_Formats(), help=f"Some of {', '.join(FORMATS)}."
)
@click.option("--channel", help="Channel, page or plane of a file that holds several: its name, or its number from 0.")
@click.option(
    "--pixel-size", type=click.FloatRange(0, min_open=True), help="Micrometres, instead of what the images say."
)
@click.option(
    "--scale",
    default="auto",
    show_default=True,
    type=_Scale(),
    help="Predict at this scale: below 1 for nuclei larger than those the model knows. `auto` finds it.",
)
@click.option("--score-threshold", type=click.FloatRange(LOWEST_SCORE, 1), help="Instead of the model's own.")
@click.option("--tile", type=click.IntRange(64), help="Pixels a side of a tile of a large image.")
@click.option(
    "--precision",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "float32", "bfloat16"]),
    help="Of the network.",
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes on this machine.")
@click.option("--scheduler", help="Address of a running Dask cluster, such as tcp://10.0.0.1:8786.")
@click.option("--resume", is_flag=True, help="Skip the images and tiles that an earlier run has finished.")
@click.option("--overwrite", is_flag=True, help="Replace results that are there.")
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

    INPUT is an image, a folder, a pattern such as 'slides/*.tif', or a URL (s3://, https://). TIFF of any kind, PNG,
    JPEG and OME-Zarr are read. Results are OUTPUT/<format>/<image>.<suffix>.

    An image that fails does not stop the others; the exit status is 1 then.
    """
    if scheduler and workers > 1:
        raise click.UsageError("--workers starts processes on this machine; a --scheduler has its own.")
    from nucseg.batch.predict import BatchOptions, predict_images
    from nucseg.images.open import find_images
    from nucseg.inference.engine import Engine, LocalEngine
    from nucseg.inference.predictor import Predictor
    from nucseg.models.registry import resolve_model

    found = find_images(images)
    folder = resolve_model(model)
    if output.is_file():
        raise ConfigError(f"output: {output} is a file; give a folder.")
    predictor = Predictor.load(folder, scale=scale, precision=precision)

    def run(engine: Engine, at_once: int) -> "list[Outcome]":
        batch = BatchOptions(images_at_once=at_once, **options)
        return predict_images(found, output, predictor, engine, batch, model=folder, progress=_tell)

    if scheduler or workers > 1:
        from nucseg.inference.cluster import DaskEngine, connected

        with connected(workers, scheduler) as client:
            outcomes = run(DaskEngine(client, folder, predictor), 2 * max(workers, len(client.nthreads())))
    else:
        outcomes = run(LocalEngine(predictor.bundle.segmenter), 2)
    _summarise(outcomes)


def _tell(outcome: "Outcome") -> None:
    if outcome.error:
        click.echo(f"Failed: {outcome.error}", err=True)
    elif outcome.skipped:
        click.echo(f"{outcome.image}: {outcome.nuclei} nuclei, finished by an earlier run")
    else:
        files = ", ".join(map(str, outcome.files))
        click.echo(f"{outcome.image}: {outcome.nuclei} nuclei in {outcome.seconds:.1f} s, written to {files}")
    for note in outcome.notes:
        click.echo(f"  Note: {note}")


def _summarise(outcomes: "list[Outcome]") -> None:
    failed = [outcome for outcome in outcomes if outcome.error]
    if not failed:
        return
    click.echo(f"\nFailed ({len(failed)}):", err=True)
    for outcome in failed:
        click.echo(f"  {outcome.error}", err=True)
    raise click.ClickException(f"{len(failed)} of {len(outcomes)} images failed; the others are written.")
