"""`nucseg train-areas`: a model of classes from a few outlined areas."""

import sys
from pathlib import Path

import click

from nucseg.commands.options import check_finite

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("images", type=_FOLDER)
@click.argument("areas", type=_FOLDER)
@click.option(
    "--classes",
    required=True,
    help="Names of the classes, separated by commas, from 0 on, such as background,mark.",
)
@click.option("--name", help="Name of the new model.  [default: areas and the date]")
@click.option(
    "--rounds",
    type=click.IntRange(1, 10),
    default=2,
    show_default=True,
    help="Number of rounds; the first learns from the outlined areas alone.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=1),
    callback=check_finite,
    help="Time for all epochs together, of which each round takes at least one. Without it, until the training ends by "
    "itself.",
)
def train_areas(images: Path, areas: Path, classes: str, name: str | None, rounds: int, minutes: float | None) -> None:
    """Train a model of classes of pixels from a few outlined areas.

    IMAGES is a folder of images, AREAS a folder of the areas outlined in some of them, in files of the same names:
    QuPath's GeoJSON, in which what lies in no area is not outlined, or images of class numbers, in which 255 is not
    outlined. Outline the background, too. The images without outlined areas are learned from in the later rounds, as
    the model before sees them. The model is written to data/06_models/NAME, or to $NUCSEG_MODELS/NAME.

    The same command goes on with a training that was interrupted. Images that cannot be used are named, and the exit
    status is then 1.
    """
    from nucseg.core.validation import checked
    from nucseg.finetuning.areas import train_on_areas
    from nucseg.models.registry import dated_name, models_folder, new_folder
    from nucseg.models.unet.config import UNetConfig

    names = checked(UNetConfig, {"classes": tuple(each.strip() for each in classes.split(","))}).classes
    folder = new_folder(name or dated_name("areas", models_folder()))
    trained = train_on_areas(images, areas, folder, classes=names, rounds=rounds, minutes=minutes)
    for image, reason in trained.rejected.items():
        click.echo(f"Left out: {image}: {reason}", err=True)
    click.echo(f"\nImages with outlined areas: {trained.outlined}. Images without: {trained.further}.")
    for each in trained.rounds:
        click.echo(
            f"Round {each.number}: mean IoU {each.mean_iou:.3f} on the areas held out, learned from "
            f"{100 * each.learned:.1f} % of the pixels{'' if each.taken else '; not taken, since it is worse'}"
        )
    click.echo(f"Model: {folder}. Use it: nucseg segment IMAGE -o FOLDER --model {folder.name}")
    if trained.rejected:
        sys.exit(1)
