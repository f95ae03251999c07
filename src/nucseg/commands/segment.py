"""`nucseg segment`: the class of every pixel of images of any size, as files."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nucseg.commands.options import OutputPath, check_inputs, field_options, given
from nucseg.commands.run import check_run, engine_options, found_images, on_engine
from nucseg.core.validation import checked
from nucseg.reporting.options import SegmentOptions

if TYPE_CHECKING:
    from nucseg.batch.result import ImageResult
    from nucseg.inference.engine import Engine

_FIELDS = [name for name in SegmentOptions.model_fields if name != "score_threshold"]


@click.command()
@click.argument("images", metavar="INPUT...", nargs=-1, required=True, callback=check_inputs)
@click.option(
    "-o", "--output", required=True, type=OutputPath(file_okay=False, path_type=Path), help="Folder for the results."
)
@click.option("--model", default="unet", show_default=True, help="Name of a model, or its folder.")
@field_options(SegmentOptions, *_FIELDS, renamed={"formats": "format"})
@engine_options
def segment(
    images: tuple[str, ...], output: Path, model: str, workers: int, scheduler: str | None, **fields: Any
) -> None:
    """Assign every pixel of images of any size to a class.

    INPUT is an image, a folder, a pattern or a URL, as for `nucseg predict`. Results are written to
    OUTPUT/<format>/<image>.<suffix>, with one row per image in OUTPUT/classes.csv.

    If an image fails, the others are still processed, and the exit status is 1.
    """
    started = time.perf_counter()
    check_run(output, workers, scheduler)
    from nucseg.batch.segment import SUMMARY, segment_images
    from nucseg.inference.semantic.predictor import load_semantic
    from nucseg.models.registry import resolve_model
    from nucseg.models.version import model_version

    folder = resolve_model(model)
    found = found_images(images, output)
    options = checked(SegmentOptions, given(fields))
    predictor = load_semantic(folder, options)
    click.echo(
        f"Model: {folder.name}, version {model_version(folder)}, classes {', '.join(predictor.bundle.model.classes)}"
    )

    def run(engine: "Engine") -> "list[ImageResult]":
        return segment_images(found, output, predictor, engine, options, model=folder, progress=_report)

    outcomes = on_engine(run, workers, scheduler, folder, predictor)
    failed = sum(1 for outcome in outcomes if outcome.error)
    count = f"{len(outcomes)} image{'' if len(outcomes) == 1 else 's'}{f' ({failed} failed)' if failed else ''}"
    click.echo(f"{count} in {time.perf_counter() - started:.0f} s -> {output / SUMMARY.name}")
    if not all(outcome.is_whole for outcome in outcomes):
        sys.exit(1)


def _report(outcome: "ImageResult") -> None:
    if outcome.error:
        click.echo(f"Failed: {outcome.error}", err=True)
        return
    if outcome.incomplete:
        click.echo(f"Incomplete: {outcome.incomplete}", err=True)
    how = "finished by an earlier run" if outcome.skipped else f"{outcome.seconds:.1f} s"
    click.echo(f"{outcome.name}: {outcome.figures['shares']}; {how}")
    for note in outcome.notes:
        click.echo(f"  Note: {note}")
