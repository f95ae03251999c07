"""`nucseg train`: a model of one's own from few images."""

import os
import sys
from pathlib import Path

import click

from nucseg.commands.options import OutputPath, check_finite
from nucseg.core.files import check_writable
from nucseg.core.parent import when_input_ends
from nucseg.core.words import counted

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("images", type=_FOLDER)
@click.argument("labels", type=_FOLDER)
@click.option("--name", help="Name of the new model.  [default: that of the first one, and the date]")
@click.option(
    "--from", "start", default="stardist", show_default=True, help="Name or folder of the model to start from."
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=1),
    callback=check_finite,
    help="Time for all epochs together, of which each training takes at least one; choosing thresholds and comparing "
    "the models come on top. Without it, until the training ends by itself.",
)
@click.option(
    "-o",
    "--output",
    type=OutputPath(file_okay=False, path_type=Path),
    help="Folder for the report.  [default: evaluation-NAME]",
)
@click.option("--until-input-ends", is_flag=True, hidden=True, help="End when standard input is closed.")
def train(
    images: Path,
    labels: Path,
    name: str | None,
    start: str,
    minutes: float | None,
    output: Path | None,
    until_input_ends: bool,
) -> None:
    """Train a model on with 5 to 500 of your own images, and compare both on images held out.

    IMAGES is a folder of images, LABELS a folder of their nuclei, in files of the same names: label images, Fiji's
    ROIs, QuPath's GeoJSON or COCO. Of fewer than 10 images each is held out in turn, in 4 trainings, before the last
    one uses all. The model is written to data/06_models/NAME, or to $NUCSEG_MODELS/NAME.

    The same command goes on with a training that was interrupted. Images that cannot be used are named, and the exit
    status is then 1. Where MLFLOW_TRACKING_URI is set, both models and their scores are logged in MLflow.
    """
    if until_input_ends:
        when_input_ends(lambda: os._exit(1))
    from nucseg.batch.evaluate import REPORT, check_report, log_results
    from nucseg.finetuning.train import better, fine_tune
    from nucseg.models.registry import dated_name, models_folder, new_folder, resolve_model
    from nucseg.reporting.tables import console_table
    from nucseg.reporting.tracked import check_tracking

    check_tracking()
    origin = resolve_model(start)
    name = name or dated_name(origin.name, models_folder())
    folder = new_folder(name)
    report = output or Path(f"evaluation-{name}")
    check_writable(report)
    check_report(report)
    trained = fine_tune(images, labels, origin, folder, report, minutes=minutes)
    for image, reason in trained.rejected.items():
        click.echo(f"Left out: {image}: {reason}", err=True)
    count = counted(trained.after["overall"]["n_images"], "image")
    how = " (each held out in turn)" if trained.several else " (held out)"
    click.echo(f"\nScores on {count}{how}:\n{console_table([trained.before, trained.after])}\n")
    is_better = better(trained.before, trained.after)
    if is_better is None:
        click.echo(
            f"{name} is not comparable with {origin.name}: no image held out has a nucleus. Outline nuclei in more "
            "images, or compare the models on others: nucseg evaluate."
        )
    elif is_better:
        click.echo(
            f"{name} is at least as good as {origin.name} on these images. Use it: nucseg predict --model {name}"
        )
    else:
        click.echo(f"{name} is worse than {origin.name} on these images: go on using {origin.name}.")
    click.echo(f"Model: {folder}\nReport: {report / REPORT}")
    log_results({origin.name: origin, name: folder}, report)
    if trained.rejected:
        sys.exit(1)
