"""Predict many images and write their nuclei in the formats that were asked for."""

from collections.abc import Callable, Sequence
from pathlib import Path

from nucseg.batch.nuclei import NucleiResults
from nucseg.batch.result import ImageResult
from nucseg.batch.run import run_images
from nucseg.batch.summary import write_tables
from nucseg.images.find import FoundImage
from nucseg.inference.engine import Engine
from nucseg.inference.predictor import Predictor
from nucseg.reporting.formats.registry import format_paths
from nucseg.reporting.options import BatchOptions


def predict_images(
    images: Sequence[FoundImage],
    output: Path,
    predictor: Predictor,
    engine: Engine,
    options: BatchOptions,
    *,
    model: Path,
    progress: Callable[[ImageResult], None] | None = None,
) -> list[ImageResult]:
    """Predict images and write `<output>/<format>/<name><suffix>`, a summary and one table of all images.

    Args:
        images: As `find_images` finds them.
        output: The folder to write into.
        predictor: The model.
        engine: Where its tiles are predicted.
        options: How.
        model: The model's folder.
        progress: Called with each image's outcome, in the order of the images.

    Returns:
        The outcomes, in the order of the images.

    Raises:
        InputError: A format is unknown, or a file of another program would be replaced by the summary.
        StorageError: The summary cannot be written.
    """
    format_paths(output, "name", list(options.formats))
    results = NucleiResults(options)
    outcomes = run_images(images, output, predictor, engine, options, results, model=model, progress=progress)
    if "table" in options.formats:
        write_tables(output)
    return outcomes
