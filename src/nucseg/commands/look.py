"""`nucseg look`: results as a page to look at and correct in the browser."""

from pathlib import Path

import click

from nucseg.commands.options import OutputPath
from nucseg.core.errors import ConfigError
from nucseg.core.files import atomic_file


@click.command()
@click.argument("results", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--image", "images", multiple=True, metavar="NAME", help="Image to show, as summary.csv names it; repeatable."
)
@click.option(
    "-o",
    "--output",
    type=OutputPath(dir_okay=False, path_type=Path),
    help="HTML file to write.  [default: RESULTS/look.html]",
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def look(results: Path, images: tuple[str, ...], output: Path | None, overwrite: bool) -> None:
    """Write results as a page on which nuclei are looked at and corrected.

    RESULTS is a folder that `nucseg predict` has written. The page is one file that works without a network, in any
    browser. Corrections are downloaded from it as GeoJSON, label image or table; RESULTS is not changed.
    """
    from nucseg.look.page import render_page
    from nucseg.look.results import views_of_results

    path = output or results / "look.html"
    if path.exists() and not overwrite:
        raise ConfigError(f"output: {path} exists; choose another file (-o) or --overwrite.")
    page = render_page(views_of_results(results, images))
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    click.echo(f"Open it in a browser: {path}")
