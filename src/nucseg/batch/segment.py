"""Assign the pixels of many images to classes and write them; an image that fails does not stop the others."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nucseg.batch.outcome import earlier_outcome, outcome_of
from nucseg.batch.progress import Progress
from nucseg.batch.record import Finished, ImageRecord
from nucseg.batch.result import ImageResult
from nucseg.batch.results import image_version, plane_opener
from nucseg.batch.summary import Summary
from nucseg.core.files import atomic_files
from nucseg.core.package import VERSION
from nucseg.core.window import Window
from nucseg.images.find import FoundImage
from nucseg.images.open import open_content
from nucseg.inference.engine import Engine
from nucseg.inference.semantic.parts import ClassMosaic, ClassPart
from nucseg.inference.semantic.predictor import SemanticPredictor
from nucseg.inference.tiled import predict_tiled
from nucseg.models.version import model_version
from nucseg.reporting.formats.class_maps import CLASS_FORMATS
from nucseg.reporting.options import SegmentOptions

SUMMARY = Summary(
    "classes.csv",
    figures=("shares", "model", "model_version", "nucseg_version"),
    mark=".classes",
    counted="pixels",
)
"""One row an image; its columns are documented in `docs/semantic.md`."""

_ROWS = 1024  # of a class map that are counted at once


def segment_images(
    images: Sequence[FoundImage],
    output: Path,
    predictor: SemanticPredictor,
    engine: Engine,
    options: SegmentOptions,
    *,
    model: Path,
    progress: Callable[[ImageResult], None] | None = None,
) -> list[ImageResult]:
    """Write `<output>/<format>/<name><suffix>` of each image, and the summary `classes.csv`.

    Args:
        images: As `find_images` finds them.
        output: The folder to write into.
        predictor: The model.
        engine: Where its tiles are predicted.
        options: Options for prediction and output.
        model: The model's folder.
        progress: Called with each image's outcome, in the order of the images.

    Returns:
        The outcomes, in the order of the images.

    Raises:
        InputError: A file of another program would be replaced by the summary.
        StorageError: The summary cannot be written.
    """
    if not options.overwrite:
        SUMMARY.check(output)
    outcomes = []
    with Progress(len(images), counts_nuclei=False) as bar:
        segmented = partial(
            _segmented,
            output=output,
            predictor=predictor,
            engine=engine,
            options=options,
            model=model.name,
            version=model_version(model),
            bar=bar,
        )
        for image in images:
            outcomes.append(outcome_of(image, segmented))
            bar.image()
            if progress:
                with bar.quiet():
                    progress(outcomes[-1])
    SUMMARY.write(output, outcomes)
    return outcomes


def _segmented(
    image: FoundImage,
    output: Path,
    predictor: SemanticPredictor,
    engine: Engine,
    options: SegmentOptions,
    model: str,
    version: str,
    bar: Progress,
) -> ImageResult:
    paths = {name: output / name / f"{image.name}{CLASS_FORMATS[name].suffix}" for name in options.formats}
    files = list(paths.values())
    record = _record(image, output, predictor, options, version)
    if earlier := earlier_outcome(image, record, files, options):
        return earlier
    content = open_content(image.url, options.scene)
    stack = content.chosen(options.plane, options.channel)
    source = plane_opener(content, options)(stack.planes[0])
    stack.only(source.name)
    job = predictor.job(source, options)
    saved = record.saved_tiles(job.grid, ClassPart.load) if options.resume else {}
    bar.open(len(job.grid) - len(job.empty) - len(saved))

    def keep(tile: int, part: ClassPart) -> None:
        if len(job.grid) > 1:
            record.save_tile(tile, job.grid, part)
        bar.tile(0)

    found = predict_tiled(job, engine, finished=saved, on_tile=keep)
    with atomic_files(output, [str(file.relative_to(output)) for file in files]) as folder:
        for name, path in paths.items():
            CLASS_FORMATS[name].write(found, job.source, folder / path.relative_to(output))
    figures = {"shares": _shares(found), "model": model, "model_version": version, "nucseg_version": VERSION}
    pixels = found.shape[0] * found.shape[1]
    record.finish(Finished(pixels, figures, incomplete=source.incomplete), options.model_dump(mode="json"))
    notes = tuple(dict.fromkeys(job.source.notes + stack.notes))
    return ImageResult(
        image.url, image.name, pixels, tuple(files), incomplete=source.incomplete, notes=notes, figures=figures
    )


def _shares(found: ClassMosaic) -> str:
    """Return the share of the pixels that each class has, such as `background 0.85; nucleus 0.15`."""
    pixels = np.zeros(len(found.names), np.int64)
    height, width = found.shape
    for top in range(0, height, _ROWS):
        classes = found.classes(Window(top, 0, min(top + _ROWS, height), width))
        pixels += np.bincount(classes.ravel(), minlength=len(pixels))
    shares = zip(found.names, pixels / pixels.sum(), strict=True)
    return "; ".join(f"{name} {share:.4f}" for name, share in shares if share)


def _record(
    image: FoundImage, output: Path, predictor: SemanticPredictor, options: SegmentOptions, version: str
) -> ImageRecord:
    prediction: dict[str, Any] = {
        "image": image.url,
        "content": image_version(image.url),
        "model": version,
        **options.model_dump(mode="json", exclude={"formats", "resume", "overwrite"}),
        "precision": predictor.precision,
        "outlines": [image_version(str(file)) for file in (options.tissue, options.region) if file],
    }
    return ImageRecord(output, SUMMARY.record(image.name), prediction, prediction)
