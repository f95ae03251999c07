"""Predict many images and write their nuclei in the formats that were asked for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nucseg.batch.result import ImageResult
from nucseg.batch.run import run_images
from nucseg.batch.summary import NUCLEI, write_tables
from nucseg.core.errors import InputError, NucsegError
from nucseg.images.find import FoundImage
from nucseg.images.source import ImageSource
from nucseg.inference.engine import Engine
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.inference.predictor import Predictor
from nucseg.measurements.field import Field
from nucseg.reporting.formats.registry import format_paths, write_format
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
    results = _Formats(options.formats)
    outcomes = run_images(images, output, predictor, engine, options, results, model=model, progress=progress)
    if "table" in options.formats:
        write_tables(output)
    return outcomes


class _Formats:
    """The nuclei in some formats; see `Results`.

    Args:
        formats: Names in `FORMATS`.
    """

    summary = NUCLEI

    def __init__(self, formats: Sequence[str]) -> None:
        self._formats = list(formats)
        self.settings: dict[str, Any] = {}

    def paths(self, folder: Path, name: str) -> list[Path]:
        """Return the files of all formats."""
        return format_paths(folder, name, self._formats)

    def write(
        self, nuclei: StitchedLabels, source: ImageSource, folder: Path, image: FoundImage
    ) -> Mapping[str, str | int | float]:
        """Write all formats."""
        for given in self._formats:
            try:
                write_format(given, Field(nuclei, source, image.name), folder)
            except NucsegError:
                raise
            except Exception as error:  # a writer may raise any exception
                why = " ".join(f"{type(error).__name__}: {error}".split())
                raise InputError(
                    f"{image.url}: cannot be written as {given} ({why}); none of its results is written. "
                    "Choose other formats."
                ) from error
        return {}
