"""Code shared by the commands that predict images."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nucseg.commands.options import Command
from nucseg.core.files import check_writable

if TYPE_CHECKING:
    from nucseg.batch.result import ImageResult
    from nucseg.images.find import FoundImage
    from nucseg.inference.cluster import AnyPredictor
    from nucseg.inference.engine import Engine


def engine_options(command: Command) -> Command:
    """Add the options that `on_engine` takes."""
    for option in (
        click.option("--scheduler", help="Address of a running Dask cluster, such as tcp://10.0.0.1:8786."),
        click.option(
            "--workers",
            default=1,
            show_default=True,
            type=click.IntRange(1),
            help="Number of processes on this machine.",
        ),
    ):
        command = option(command)
    return command


def on_engine(
    run: "Callable[[Engine], list[ImageResult]]",
    workers: int,
    scheduler: str | None,
    model: Path,
    predictor: "AnyPredictor",
) -> "list[ImageResult]":
    """Call a function with the requested engine: threads of this process, or a Dask cluster.

    Args:
        run: The function.
        workers: Processes on this machine.
        scheduler: Address of a running cluster.
        model: Folder of the model whose tiles are predicted.
        predictor: The same model in this process.
    """
    from nucseg.inference.engine import LocalEngine

    if not scheduler and workers == 1:
        return run(LocalEngine())
    from nucseg.inference.cluster import DaskEngine, connected

    with connected(workers, scheduler) as client:
        return run(DaskEngine(client, model, predictor))


def check_run(output: Path, workers: int, scheduler: str | None) -> None:
    """Refuse options that cannot be combined.

    Raises:
        UsageError: Both workers and a scheduler are given.
        StorageError: Results cannot be written to the folder.
    """
    if scheduler and workers > 1:
        raise click.UsageError(
            "--workers cannot be combined with --scheduler, which has its own workers; leave one of them out."
        )
    check_writable(output)


def found_images(images: tuple[str, ...], output: Path) -> "list[FoundImage]":
    """Find the images that were named, and print what was skipped; exit if there is none.

    Args:
        images: As on the command line.
        output: The folder for the results.
    """
    from nucseg.images.find import find_images
    from nucseg.reporting.formats.class_maps import CLASS_FORMATS
    from nucseg.reporting.formats.registry import FORMATS

    found = find_images(images, [output / name for name in (*FORMATS, *CLASS_FORMATS)])
    for note in found.notes:
        click.echo(note, err=True)
    if all(image.error for image in found.images):
        for image in found.images:
            click.echo(f"Failed: {image.error}", err=True)
        sys.exit(1)
    return list(found.images)


def report_image(outcome: "ImageResult", how: str = "") -> None:
    """Print the outcome of an image.

    Args:
        outcome: The outcome.
        how: What stands behind the number of nuclei.
    """
    if outcome.error:
        click.echo(f"Failed: {outcome.error}", err=True)
        return
    if outcome.incomplete:
        click.echo(f"Incomplete: {outcome.incomplete}", err=True)
    click.echo(f"{outcome.name}: {outcome.nuclei} nuclei{how}")
    for note in outcome.notes:
        click.echo(f"  Note: {note}")


def summary_line(outcomes: "Sequence[ImageResult]", results: Sequence[Path], seconds: float) -> str:
    """Return the last line of a run: how many images and nuclei there are, and where the results lie."""
    failed = sum(1 for outcome in outcomes if outcome.error)
    nuclei = sum(outcome.nuclei or 0 for outcome in outcomes)
    images = f"{len(outcomes)} image{'' if len(outcomes) == 1 else 's'}{f' ({failed} failed)' if failed else ''}"
    return f"{images}, {nuclei} nuclei in {seconds:.0f} s -> {', '.join(map(str, results))}"
