"""`nucseg register`: the ablation marks of a mask, numbered by the grid of the acquisition."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nucseg.commands.options import OutputPath

if TYPE_CHECKING:
    from nucseg.registration.register import Registration


@click.command()
@click.argument("mask", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rows", required=True, type=click.IntRange(min=1), help="Rows of the acquisition.")
@click.option("--cols", "columns", required=True, type=click.IntRange(min=1), help="Columns of the acquisition.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    help="Lowest probability of a mark, for a MASK of probabilities (floats from 0 to 1, or integers of full range).",
)
@click.option(
    "-o",
    "--output",
    default="registered",
    show_default=True,
    type=OutputPath(file_okay=False, path_type=Path),
    help="Folder for the results.",
)
def register(mask: Path, rows: int, columns: int, threshold: float | None, output: Path) -> None:
    """Find out which ablation mark is which pixel of an imaging mass spectrometry acquisition.

    MASK is a black and white image of the marks, a label image, or probabilities with --threshold. The marks are
    numbered row by row from 1 at the top left. Written are an image of the numbers, a table of all cells and an overlay
    to check them. A mask that does not show the given number of rows and columns is refused.
    """
    from nucseg.registration.register import register_file

    registration, files = register_file(mask, rows, columns, output, threshold)
    report(registration, rows, columns, files)


def report(registration: "Registration", rows: int, columns: int, files: Sequence[Path]) -> None:
    """Print the notes, how many marks were found, and where the results are."""
    for note in registration.notes:
        click.echo(f"Note: {note}", err=True)
    counts = registration.table["status"].value_counts()
    parts = ", ".join(
        f"{counts[status]} {status}" for status in ("found", "merged", "pieces", "missing") if status in counts
    )
    click.echo(f"{rows} x {columns} cells: {parts}. Results: {', '.join(map(str, files))}")
