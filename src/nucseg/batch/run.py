"""Predict many images and write their results; an image that fails does not stop the others."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock

from nucseg.batch.outcome import earlier_outcome, outcome_of
from nucseg.batch.progress import Progress
from nucseg.batch.record import ImageRecord, NucleiFacts, plane_record
from nucseg.batch.result import ImageResult
from nucseg.batch.results import (
    Results,
    image_version,
    on_demand,
    origin_of,
    plane_opener,
    result_settings,
    write_results,
)
from nucseg.core.errors import InputError
from nucseg.core.package import VERSION
from nucseg.images.content import Stack
from nucseg.images.find import FoundImage
from nucseg.images.open import open_content
from nucseg.images.places import absolute
from nucseg.images.plane_choice import Plane, plane_text
from nucseg.images.source import ImageSource
from nucseg.inference.engine import Engine
from nucseg.inference.instances.parts import TileResult
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.inference.tiled import predict_tiled
from nucseg.models.version import model_version
from nucseg.reporting.options import RunOptions


def run_images(
    images: Sequence[FoundImage],
    output: Path,
    predictor: Predictor,
    engine: Engine,
    options: RunOptions,
    results: Results,
    *,
    model: Path,
    progress: Callable[[ImageResult], None] | None = None,
) -> list[ImageResult]:
    """Predict images, write their results and the summary.

    Args:
        images: As `find_images` finds them.
        output: The folder to write into.
        predictor: The model.
        engine: Where its tiles are predicted.
        options: Options for prediction and output.
        results: The results to write.
        model: The model's folder.
        progress: Called with each image's outcome, in the order of the images.

    Returns:
        The outcomes, in the order of the images.

    Raises:
        InputError: A file of another program would be replaced by the summary.
        StorageError: The summary cannot be written.
    """
    if not options.overwrite:
        results.summary.check(output)
    outcomes = []
    with (
        Progress(len(images)) as bar,
        ThreadPoolExecutor(engine.images_at_once) as planes,
        ThreadPoolExecutor(engine.images_at_once) as pool,
    ):
        run = _Run(output, predictor, engine, options, results, model.name, model_version(model), bar, planes)
        for outcome in pool.map(run.outcome, images):
            outcomes.append(outcome)
            if progress:
                with bar.quiet():
                    progress(outcome)
    results.summary.write(output, outcomes)
    return outcomes


@dataclass(frozen=True)
class _Run:
    """The state shared by the images of a run; see `run_images`."""

    output: Path
    predictor: Predictor
    engine: Engine
    options: RunOptions
    results: Results
    model: str
    version: str
    bar: Progress
    planes: ThreadPoolExecutor
    one_large_image: Lock = field(default_factory=Lock)

    def outcome(self, image: FoundImage) -> ImageResult:
        """Predict one image and write its results; a failure becomes part of the result."""
        outcome = outcome_of(image, self._predicted)
        self.bar.image()
        return outcome

    def _predicted(self, image: FoundImage) -> ImageResult:
        options = self.options
        files = self.results.paths(self.output, image.name)
        record = self._record(image, image.name, options)
        if earlier := earlier_outcome(image, record, files, options):
            return earlier
        content = open_content(image.url, options.scene)
        stack = content.chosen(options.plane, options.channel)
        opened = plane_opener(content, options)
        first = self.results.opened(opened(stack.planes[0]), image, stack)
        if len(stack.planes) == 1:
            found = [self._found(first, image, stack, stack.planes[0])]
        else:
            noted = [first.notes, *[()] * (len(stack.planes) - 1)]
            found = list(self.planes.map(partial(self._of_stack, opened, image, stack), stack.planes, noted))
        nuclei, sources, facts = zip(*found, strict=True)
        origin = origin_of(facts[0], self.version)
        return write_results(nuclei, sources, stack, image, self.output, self.results, record, options, origin)

    def _of_stack(
        self,
        opened: Callable[[Plane], ImageSource],
        image: FoundImage,
        stack: Stack,
        plane: Plane,
        notes: tuple[str, ...],
    ) -> tuple[StitchedLabels, ImageSource, NucleiFacts]:
        """Find the nuclei of one of several planes, as `_found`; the plane's pixels are not held in memory."""
        try:
            nuclei, source, facts = self._found(opened(plane), image, stack, plane)
        except InputError as error:
            raise InputError(f"plane {plane_text(plane)} of {error}") from error
        return nuclei, replace(on_demand(source, opened, plane), notes=notes + source.notes), facts

    def _found(
        self, source: ImageSource, image: FoundImage, stack: Stack, plane: Plane
    ) -> tuple[StitchedLabels, ImageSource, NucleiFacts]:
        """Find the nuclei of a plane; return them, the plane with all notes, and how they were found."""
        options = self.options.changed(plane=plane)
        record = self._record(image, plane_record(image.name, plane, stack), options)
        stored = record.facts() if options.resume else None
        if stored and stored[1] == record.prediction and (kept := record.nuclei()):
            source.mark_incomplete(stored[0].incomplete)
            return kept, replace(source, notes=source.notes + stored[0].notes), stored[0]
        job = self.predictor.job(source, options)
        is_large = len(job.grid) > 1
        with self.one_large_image if is_large else nullcontext():
            self.bar.open(len(job.grid) - len(job.empty))
            saved = record.saved_tiles(job.grid, TileResult.load) if options.resume and is_large else {}
            for part in saved.values():
                self.bar.tile(len(part))

            def keep(tile: int, part: TileResult) -> None:
                if is_large:
                    record.save_tile(tile, job.grid, part)
                self.bar.tile(len(part))

            nuclei = predict_tiled(job, self.engine, finished=saved, on_tile=keep)
            threshold = self.predictor.score_threshold if options.score_threshold is None else options.score_threshold
            notes = job.source.notes[len(source.notes) :]
            facts = NucleiFacts(
                absolute(image.url), threshold, notes, source.incomplete, float(job.scale), self.model, VERSION
            )
            record.keep(nuclei, facts)
            return nuclei, job.source, facts

    def _record(self, image: FoundImage, name: str, options: RunOptions) -> ImageRecord:
        """Collect everything that the nuclei of an image or of a plane, and their results, depend on."""
        prediction = {
            "image": image.url,
            "content": image_version(image.url),
            "model": self.version,
            **options.model_dump(mode="json", include={*PredictOptions.model_fields, "pixel_size"}),
            "precision": self.predictor.precision,
            "outlines": [image_version(str(file)) for file in (self.options.tissue, self.options.region) if file],
        }
        settings = result_settings(prediction, options, self.results, image)
        return ImageRecord(self.output, self.results.summary.record(name), prediction, settings)
