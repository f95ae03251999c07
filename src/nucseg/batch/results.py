"""What becomes of the nuclei of each image, and how it is written; without a model, so that nothing must be loaded."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nucseg.batch.record import Finished, ImageRecord, NucleiFacts
from nucseg.batch.result import ImageResult
from nucseg.batch.summary import ORIGIN, Summary
from nucseg.core.files import atomic_files
from nucseg.core.window import Window
from nucseg.images.content import Content, Stack
from nucseg.images.find import FoundImage
from nucseg.images.places import file_system
from nucseg.images.plane_choice import Plane
from nucseg.images.source import ImageSource
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.reporting.options import RunOptions


@dataclass(frozen=True)
class FoundPlane:
    """One plane of an image, and what was found in it.

    Attributes:
        plane: The plane; empty for an image that has only one.
        nuclei: The nuclei.
        source: The image; pixels of a stack are opened when they are needed.
        numbers: `(N,)`, the number of each nucleus among those of all planes.
    """

    plane: Plane
    nuclei: StitchedLabels
    source: ImageSource
    numbers: NDArray[np.int64]


class Results(Protocol):
    """The results that a run writes for each image.

    Attributes:
        summary: The file with one row per image.
    """

    summary: Summary

    def settings(self, image: FoundImage) -> dict[str, Any]:
        """Return everything that the results depend on besides the nuclei and the run's options; JSON types only."""
        return {}

    def opened(self, source: ImageSource, image: FoundImage, stack: Stack) -> ImageSource:
        """Return the first plane of an image, perhaps with more notes, before its nuclei are predicted.

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

    def numbers(self, planes: Sequence[StitchedLabels]) -> list[NDArray[np.int64]]:
        """Return the number of each nucleus of each plane; by default, all nuclei of a stack are counted through."""
        ends = np.cumsum([0, *map(len, planes)])
        return [np.arange(start + 1, stop + 1) for start, stop in itertools.pairwise(ends)]

    def write(
        self, planes: Sequence[FoundPlane], stack: Stack, folder: Path, image: FoundImage
    ) -> Mapping[str, str | int | float]:
        """Write all files of an image.

        Args:
            planes: The nuclei found in each plane.
            stack: Which planes these are.
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
    nuclei: Sequence[StitchedLabels],
    sources: Sequence[ImageSource],
    stack: Stack,
    image: FoundImage,
    output: Path,
    results: Results,
    record: ImageRecord,
    options: RunOptions,
    origin: Mapping[str, str | float],
) -> ImageResult:
    """Write the results of an image, all or none, and its record.

    Args:
        nuclei: What was found in each plane.
        sources: The planes, with all notes.
        stack: Which planes these are.
        image: Its name and place.
        output: The run's output folder.
        results: What is written.
        record: The image's record.
        options: The run's options.
        origin: From `origin_of`.

    Raises:
        NucsegError: They cannot be written.
    """
    kept = [results.kept(found, source) for found, source in zip(nuclei, sources, strict=True)]
    numbers = results.numbers(kept)
    planes = [FoundPlane(*each) for each in zip(stack.planes, kept, sources, numbers, strict=True)]
    count = max((int(each.max()) for each in numbers if len(each)), default=0)
    notes = tuple(dict.fromkeys(note for source in sources for note in source.notes)) + stack.notes
    files = results.paths(output, image.name)
    with atomic_files(output, [str(file.relative_to(output)) for file in files]) as folder:
        figures = {**origin, **results.write(planes, stack, folder, image)}
    incomplete = next((source.incomplete for source in sources if source.incomplete), None)
    record.finish(Finished(count, figures, stack, incomplete), options.model_dump(mode="json"))
    return ImageResult(image.url, image.name, count, tuple(files), incomplete=incomplete, notes=notes, figures=figures)


def origin_of(facts: NucleiFacts, version: str) -> dict[str, str | float]:
    """Return how the nuclei of an image were found: the columns `ORIGIN` of the summary.

    Args:
        facts: What was saved with the nuclei.
        version: The model's, from `model_version`.
    """
    values = (facts.model, version, facts.threshold, "" if facts.scale is None else facts.scale, facts.version)
    return dict(zip(ORIGIN, values, strict=True))


def plane_opener(content: Content, options: RunOptions) -> Callable[[Plane], ImageSource]:
    """Return what opens a plane of an image with the channel and the pixel size of some options."""

    @lru_cache(maxsize=1)
    def opened(plane: Plane) -> ImageSource:
        source = content.image(options.channel, plane)
        return replace(source, pixel_size=(options.pixel_size,) * 2) if options.pixel_size else source

    return opened


def on_demand(source: ImageSource, opened: Callable[[Plane], ImageSource], plane: Plane) -> ImageSource:
    """Return a plane whose pixels are opened when they are needed, and not held in memory for longer."""

    def read(number: int | None, window: Window) -> NDArray:
        image = opened(plane)
        return (image if number is None else image.levels[number]).read(window)

    levels = tuple(replace(each, read=partial(read, number)) for number, each in enumerate(source.levels))
    return replace(source, read=partial(read, None), levels=levels)


def image_version(image: str) -> str:
    """Return an identifier of a file's content: its size and modification time, or its server's tag."""
    try:
        files, path = file_system(image)
        return str(files.ukey(path))
    except Exception:  # a file system may raise anything: reading the image will report it
        return ""
