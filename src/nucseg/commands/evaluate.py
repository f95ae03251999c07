"""`nucseg evaluate`: the scores of models on images whose nuclei are outlined."""

import sys
from pathlib import Path

import click

from nucseg.commands.options import OutputPath
from nucseg.core.files import check_writable
from nucseg.core.words import counted

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.argument("images", type=_FOLDER)
@click.argument("labels", type=_FOLDER)
@click.option(
    "-o",
    "--output",
    default="evaluation",
    show_default=True,
    type=OutputPath(file_okay=False, path_type=Path),
    help="Folder for the report.",
)
def evaluate(models: tuple[str, ...], images: Path, labels: Path, output: Path) -> None:
    """Measure one or several models on images whose nuclei are outlined.

    MODEL is the name of a model, or its folder. IMAGES is a folder of images, LABELS a folder of their nuclei, in files
    of the same names: label images, Fiji's ROIs, QuPath's GeoJSON or COCO. Scores of several models stand side by side.

    Only scores on images that a model was not trained on say how good it is. Images that cannot be used are named, and
    the exit status is then 1. Where MLFLOW_TRACKING_URI is set, models and scores are logged in MLflow.
    """
    from nucseg.batch.evaluate import REPORT, evaluate_models, log_results
    from nucseg.models.registry import resolve_models
    from nucseg.reporting.tables import console_table
    from nucseg.reporting.tracked import check_tracking

    check_tracking()
    check_writable(output)
    folders = resolve_models(models)
    result = evaluate_models(folders, images, labels, output)
    for name, reason in result.rejected.items():
        click.echo(f"Left out: {name}: {reason}", err=True)
    count = counted(result.metrics[0]["overall"]["n_images"], "image")
    click.echo(f"\nScores on {count}:\n{console_table(result.metrics)}")
    click.echo(f"\nReport: {output / REPORT}")
    log_results(folders, output)
    if result.rejected:
        sys.exit(1)
