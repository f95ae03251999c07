"""What becomes of the nuclei of each image, and how it is written; without a model, so that nothing must be loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from nucseg.batch.record import Finished, ImageRecord
from nucseg.batch.result import ImageResult
from nucseg.batch.summary import Summary
from nucseg.core.files import atomic_files
from nucseg.images.find import FoundImage
from nucseg.images.places import file_system
from nucseg.images.source import ImageSource
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.reporting.options import RunOptions


class Results(Protocol):
    """The results that a run writes for each image.

    Attributes:
        summary: The file with one row per image.
    """

    summary: Summary

    def settings(self, image: FoundImage) -> dict[str, Any]:
        """Return everything that the results depend on besides the nuclei and the run's options; JSON types only."""
        return {}

    def opened(self, source: ImageSource, image: FoundImage) -> ImageSource:
        """Return an image, perhaps with more notes, before its nuclei are predicted.

        Raises:
            InputError: Its results could not be written.
        """
        return source

    def kept(self, nuclei: StitchedLabels, source: ImageSource) -> StitchedLabels:
        """Return the nuclei that become results."""
        return nuclei

    def paths(self, folder: Path, name: str) -> list[Path]:
        """Return the files of the image with a name, in the folder of a run."""
        ...

    def write(
        self, nuclei: StitchedLabels, source: ImageSource, folder: Path, image: FoundImage
    ) -> Mapping[str, str | int | float]:
        """Write all files of an image.

        Args:
            nuclei: The nuclei found.
            source: The image.
            folder: An empty folder for the files that `paths` names.
            image: The image's name and place.

        Returns:
            The columns of the summary that are specific to these results.

        Raises:
            InputError: They cannot be written, or not as requested.
        """
        ...


def result_settings(
    prediction: dict[str, Any], options: RunOptions, results: Results, image: FoundImage
) -> dict[str, Any]:
    """Collect everything that the results of an image depend on."""
    dumped = options.model_dump(mode="json", exclude={"formats", "resume", "overwrite", "precision"})
    return {**prediction, **dumped, **results.settings(image)}


def write_results(
    nuclei: StitchedLabels,
    source: ImageSource,
    image: FoundImage,
    output: Path,
    results: Results,
    record: ImageRecord,
    options: RunOptions,
) -> ImageResult:
    """Write the results of an image, all or none, and its record.

    Args:
        nuclei: What was found.
        source: The image, as `Results.opened` returned it, with all notes.
        image: Its name and place.
        output: The run's output folder.
        results: What is written.
        record: The image's record.
        options: The run's options.

    Raises:
        NucsegError: They cannot be written.
    """
    nuclei = results.kept(nuclei, source)
    files = results.paths(output, image.name)
    with atomic_files(output, [str(file.relative_to(output)) for file in files]) as folder:
        figures = dict(results.write(nuclei, source, folder, image))
    record.finish(Finished(len(nuclei), figures), options.model_dump(mode="json"))
    return ImageResult(image.url, image.name, len(nuclei), tuple(files), notes=source.notes, figures=figures)


def image_version(image: str) -> str:
    """Return an identifier of a file's content: its size and modification time, or its server's tag."""
    try:
        files, path = file_system(image)
        return str(files.ukey(path))
    except Exception:  # a file system may raise anything: reading the image will report it
        return ""
