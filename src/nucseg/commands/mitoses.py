"""`nucseg mitoses`: the mitoses on slides, their positions and counts."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nucseg.commands.options import OutputPath, check_inputs, field_options, given
from nucseg.commands.run import check_run, engine_options, found_images, on_engine
from nucseg.reporting.options import MitosesOptions

if TYPE_CHECKING:
    from nucseg.batch.result import ImageResult
    from nucseg.inference.engine import Engine


@click.command()
@click.argument("slides", metavar="SLIDE...", nargs=-1, required=True, callback=check_inputs)
@click.option(
    "-o", "--output", required=True, type=OutputPath(file_okay=False, path_type=Path), help="Folder for the results."
)
@click.option("--classifier", default="mitosis", show_default=True, help="Name of a patch classifier, or its folder.")
@click.option(
    "--model", default="stardist", show_default=True, help="Name of the model that finds the nuclei, or its folder."
)
@field_options(MitosesOptions)
@engine_options
def mitoses(
    slides: tuple[str, ...],
    output: Path,
    classifier: str,
    model: str,
    workers: int,
    scheduler: str | None,
    **fields: Any,
) -> None:
    """Find the mitoses on slides stained with haematoxylin and eosin.

    SLIDE is an image, a folder, a pattern or a URL, as for `nucseg predict`. The model finds the nuclei; the classifier
    examines each of them, at the pixel size at which it was trained. The results are OUTPUT/<slide>.mitoses.csv
    (positions and probabilities), .geojson (points for QuPath), .json (counts) and .png (the densest 2 mm²), and one
    row per slide in OUTPUT/mitoses.csv.

    A mitosis that is not found as a nucleus is not counted. If a slide fails, the others are still processed, and the
    exit status is 1.
    """
    started = time.perf_counter()
    check_run(output, workers, scheduler)
    from nucseg.batch.mitoses import SUMMARY, find_mitoses_of_slides
    from nucseg.inference.mitoses.predictor import SlidePredictor, load_classifier
    from nucseg.inference.predictor import load_segmenter
    from nucseg.models.registry import resolve_model

    folder, classifier_folder = resolve_model(model), resolve_model(classifier)
    found = found_images(slides, output)
    options = MitosesOptions(**given(fields))
    loaded = load_classifier(classifier_folder)
    predictor = SlidePredictor(load_segmenter(folder), options, loaded.pixel_size)

    def run(engine: "Engine") -> "list[ImageResult]":
        return find_mitoses_of_slides(
            found,
            output,
            predictor,
            engine,
            loaded,
            options,
            model=folder,
            classifier_folder=classifier_folder,
            progress=_report,
        )

    outcomes = on_engine(run, workers, scheduler, folder, predictor)
    failed = sum(1 for outcome in outcomes if outcome.error)
    count = sum(int(outcome.figures.get("mitoses", 0)) for outcome in outcomes)
    slides_ = f"{len(outcomes)} slide{'' if len(outcomes) == 1 else 's'}{f' ({failed} failed)' if failed else ''}"
    click.echo(f"{slides_}, {_mitoses(count)} in {time.perf_counter() - started:.0f} s -> {output / SUMMARY.name}")
    if not all(outcome.is_whole for outcome in outcomes):
        sys.exit(1)


def _mitoses(count: int) -> str:
    return f"{count} mitos{'i' if count == 1 else 'e'}s"


def _report(outcome: "ImageResult") -> None:
    if outcome.error:
        click.echo(f"Failed: {outcome.error}", err=True)
        return
    if outcome.incomplete:
        click.echo(f"Incomplete: {outcome.incomplete}", err=True)
    from nucseg.reporting.mitoses.figures import what_it_depends_on

    how = "finished by an earlier run" if outcome.skipped else f"{outcome.seconds:.1f} s"
    figures = outcome.figures
    densest = figures["densest_2mm2"]
    field = f"{densest} in the densest 2 mm²" if densest != "" else "less than 2 mm² in all"
    counts = f"{_mitoses(int(figures['mitoses']))}, {figures['mitoses_per_mm2']} per mm² of the image, {field}"
    click.echo(f"{outcome.name}: {counts}; {how}")
    click.echo(f"  {what_it_depends_on(outcome.nuclei or 0)}")
    for note in outcome.notes:
        click.echo(f"  Note: {note}")
