"""`nucseg predict`: the nuclei of images, as files."""

from pathlib import Path

import click
from tqdm import tqdm

from nucseg.core.errors import NucsegError

FORMATS = ("labels", "geojson", "rle")


@click.command()
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
