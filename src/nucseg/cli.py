"""The command line beside `kedro run`: `nucseg predict` and `nucseg doctor`."""

import logging
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from nucseg.core.errors import NucsegError

FORMATS = ("labels", "geojson", "rle")


class _ReadableGroup(click.Group):
    """Shows an error that the user can mend as one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except NucsegError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_ReadableGroup)
@click.version_option(version("nucseg"))
def cli() -> None:
    """Find every nucleus in a microscopy image."""


def main() -> None:
    """Run the command line with log lines on standard error."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cli()


@cli.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write to."
)
@click.option("--model", default="stardist", show_default=True, help="Name of a model, or its folder.")
@click.option("--scale", default=1.0, show_default=True, type=click.FloatRange(0.05, 20), help="Predict at this scale.")
@click.option("--score-threshold", type=click.FloatRange(0, 1), help="Instead of the model's own.")
@click.option(
    "--format", "formats", default="labels", show_default=True, help=f"Comma-separated list of {', '.join(FORMATS)}."
)
def predict(
    images: tuple[Path, ...], output: Path, model: str, scale: float, score_threshold: float | None, formats: str
) -> None:
    """Find the nuclei in IMAGES and write one file for each image and format, as OUTPUT/<format>/<image>.<suffix>."""
    unknown = set(formats.split(",")) - set(FORMATS)
    if unknown:
        raise click.BadParameter(
            f"{', '.join(sorted(unknown))}; allowed are {', '.join(FORMATS)}", param_hint="--format"
        )
    from nucseg.images.io import read_image
    from nucseg.inference.predictor import Predictor
    from nucseg.reporting.exports import write_instances

    predictor = Predictor.load(model, scale=scale)
    failed = 0
    for path in tqdm(images, desc="predict", unit="image"):
        try:
            instances = predictor.predict(read_image(path), score_threshold=score_threshold, name=str(path))
            written = write_instances(instances, output, path.stem, formats.split(","))
        except NucsegError as error:
            failed += 1
            click.echo(f"Failed: {error}", err=True)
        else:
            click.echo(f"{path}: {len(instances)} nuclei, written to {', '.join(map(str, written))}")
    if failed:
        raise click.ClickException(f"{failed} of {len(images)} images failed; the others are written.")


@cli.command()
def doctor() -> None:
    """Show versions, device, precision and the models that can be used."""
    from nucseg.models.precision import describe_device, use_precision
    from nucseg.models.registry import MODELS, resolve_model

    click.echo(f"nucseg {version('nucseg')} on Python {platform.python_version()}, {platform.platform()}")
    for package in ("tensorflow", "keras", "stardist", "kedro", "albumentations", "numpy"):
        click.echo(f"{package} {version(package)}")
    click.echo(f"precision: {use_precision('auto')}")
    click.echo(f"device: {describe_device()}")
    for name in MODELS:
        try:
            click.echo(f"model {name}: {resolve_model(name)}")
        except NucsegError as error:
            click.echo(f"model {name}: {error}")
