"""Find the mitoses of many slides and write them; a slide that fails does not stop the others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from nucseg.batch.result import ImageResult
from nucseg.batch.results import FoundPlane, Results
from nucseg.batch.run import run_images
from nucseg.batch.summary import ORIGIN, Summary
from nucseg.images.content import Stack
from nucseg.images.find import FoundImage
from nucseg.images.source import ImageSource
from nucseg.inference.engine import Engine
from nucseg.inference.mitoses.find import find_mitoses
from nucseg.inference.mitoses.predictor import SlidePredictor
from nucseg.models.protocols import PatchClassifier
from nucseg.models.version import model_version
from nucseg.reporting.mitoses.figures import Figures, figures
from nucseg.reporting.mitoses.files import FILES
from nucseg.reporting.options import MitosesOptions

SUMMARY = Summary("mitoses.csv", figures=(*(field.name for field in fields(Figures)), *ORIGIN), mark=".mitoses")
"""One row a slide; its columns are documented in `docs/mitosis.md`."""


def find_mitoses_of_slides(
    slides: Sequence[FoundImage],
    output: Path,
    predictor: SlidePredictor,
    engine: Engine,
    classifier: PatchClassifier,
    options: MitosesOptions,
    *,
    model: Path,
    classifier_folder: Path,
    progress: Callable[[ImageResult], None] | None = None,
) -> list[ImageResult]:
    """Find mitoses and write `<output>/<name>.mitoses.<suffix>`, one file of each kind, and the summary `mitoses.csv`.

    Args:
        slides: As `find_images` finds them.
        output: The folder to write into.
        predictor: The model that finds the nuclei.
        engine: Where its tiles are predicted.
        classifier: The model that recognises mitoses.
        options: Options for prediction and output.
        model: The folder of the model that finds the nuclei.
        classifier_folder: The classifier's.
        progress: Called with each slide's outcome, in the order of the slides.

    Returns:
        The outcomes, in the order of the slides.

    Raises:
        InputError: A file of another program would be replaced by the summary.
        StorageError: The summary cannot be written.
    """
    results = _Mitoses(classifier, options.threshold, model_version(classifier_folder))
    return run_images(slides, output, predictor, engine, options, results, model=model, progress=progress)


class _Mitoses(Results):
    """The mitoses among the nuclei; see `Results`.

    Args:
        classifier: The model.
        threshold: Lowest probability of a mitosis; None takes the classifier's own.
        version: Identifies the classifier.
    """

    summary = SUMMARY

    def __init__(self, classifier: PatchClassifier, threshold: float | None, version: str) -> None:
        self._classifier = classifier
        self._threshold = threshold
        self._version = version

    def settings(self, image: FoundImage) -> dict[str, Any]:
        """Return what identifies the classifier."""
        return {"classifier": self._version}

    def paths(self, folder: Path, name: str) -> list[Path]:
        """Return the files of a slide."""
        return [folder / f"{name}.mitoses.{suffix}" for suffix in FILES]

    def opened(self, source: ImageSource, image: FoundImage, stack: Stack) -> ImageSource:
        """Check that one plane is chosen."""
        stack.only(source.name)
        return source

    def write(
        self, planes: Sequence[FoundPlane], stack: Stack, folder: Path, image: FoundImage
    ) -> Mapping[str, str | int | float]:
        """Classify the nuclei and write the mitoses."""
        (plane,) = planes
        source = plane.source
        found = find_mitoses(plane.nuclei, source, self._classifier, self._threshold)
        for path, write in zip(self.paths(folder, image.name), FILES.values(), strict=True):
            write(found, source, path, image.name)
        return {name: "" if value is None else value for name, value in vars(figures(found)).items()}
