"""`nucseg compare`: what tells models apart."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nucseg.commands.options import OutputPath
from nucseg.core.errors import InputError
from nucseg.core.files import check_writable
from nucseg.core.words import counted

if TYPE_CHECKING:
    from nucseg.models.run import RunRecord

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option("--images", type=_FOLDER, help="Folder of images on which the models are measured.")
@click.option("--labels", type=_FOLDER, help="Folder of their nuclei.")
@click.option(
    "-o",
    "--output",
    default="comparison",
    show_default=True,
    type=OutputPath(file_okay=False, path_type=Path),
    help="Folder for the report on the images.",
)
def compare(models: tuple[str, ...], images: Path | None, labels: Path | None, output: Path) -> None:
    """Show side by side how models were made and how they differ.

    MODEL is the name of a model, or its folder; two or more. Without images, parameters and the scores on each model's
    own validation images are printed.

    With --images and --labels, as for `nucseg evaluate`, all models are measured on the same images: their scores, and
    the differences of each two image by image, with 95 % intervals; the report also shows the images on which they
    differ most. Images that cannot be used are named, and the exit status is then 1.
    """
    from nucseg.models.registry import folder_kind, resolve_models
    from nucseg.models.run import RunRecord
    from nucseg.reporting.comparison import parameter_differences

    if len(models) < 2:
        raise InputError("compare needs two models or more; `nucseg evaluate` measures one.")
    if (images is None) != (labels is None):
        raise InputError("--images and --labels belong together: give both, or neither.")
    folders = resolve_models(models)
    runs = {name: RunRecord.load(folder) for name, folder in folders.items()}
    differing = parameter_differences(runs, {name: folder_kind(folder) for name, folder in folders.items()})
    rejected = False
    if images is not None and labels is not None:
        check_writable(output)
        rejected = _measure(folders, images, labels, output)
    else:
        _show_recorded(folders, runs)
    if differing.empty:
        click.echo("\nThe models were configured alike, as far as is recorded.")
    else:
        click.echo(f"\nParameters that differ:\n{differing.to_string()}")
    if rejected:
        sys.exit(1)


def _measure(folders: dict[str, Path], images: Path, labels: Path, output: Path) -> bool:
    """Measure the models and print their scores; return whether an image was left out."""
    from nucseg.batch.evaluate import REPORT, evaluate_models
    from nucseg.reporting.comparison import paired_differences
    from nucseg.reporting.tables import console_table

    result = evaluate_models(folders, images, labels, output)
    for name, reason in result.rejected.items():
        click.echo(f"Left out: {name}: {reason}", err=True)
    count = counted(result.metrics[0]["overall"]["n_images"], "image")
    click.echo(f"\nScores on {count}:\n{console_table(result.metrics)}")
    click.echo("\nMeans over images and differences image by image, with 95 % intervals:")
    for row in paired_differences(result.per_image, ("f1_50", "ap_mean_50_90")):
        click.echo(
            f"{row.score}: {row.first} {row.of_first}, {row.second} {row.of_second}, difference {row.difference}: "
            f"better on {row.better} and worse on {row.worse} of {counted(row.n_images, 'image')}"
            f"{'' if row.clear else '; no clear difference'}"
        )
    click.echo(f"\nReport: {output / REPORT}")
    return bool(result.rejected)


def _show_recorded(folders: dict[str, Path], runs: "dict[str, RunRecord]") -> None:
    """Print the scores on the models' own validation images."""
    from nucseg.models.facts import model_facts

    click.echo("Scores on each model's own validation images:")
    for name, folder in folders.items():
        scores = ", ".join(f"{key} {value:.3f}" for key, value in model_facts(folder).scores.items())
        click.echo(f"{name}: {scores or 'not recorded'} ({counted(runs[name].validation.n_images, 'image')})")
    if len({frozenset(run.splits.get("val", ())) for run in runs.values()}) > 1:
        click.echo("They were validated on different images: measure them on the same ones (--images, --labels).")
