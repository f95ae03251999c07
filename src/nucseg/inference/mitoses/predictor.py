"""The predictor of nuclei on slides with mitoses, and the loading of the classifier."""

from dataclasses import replace
from pathlib import Path

from nucseg.core.errors import ModelError
from nucseg.images.source import ImageSource
from nucseg.inference.engine import TileJob
from nucseg.inference.instances.parts import TileResult
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.inference.mitoses.config import NUCLEUS_PIXEL_SIZE
from nucseg.inference.mitoses.patches import check_colours, check_slide
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.models.bundle import ModelBundle
from nucseg.models.protocols import PatchClassifier
from nucseg.models.registry import folder_task, resolve_model


class SlidePredictor(Predictor):
    """A predictor of nuclei that first refuses images on which mitoses cannot be found.

    The scale `auto` is the one at which the network sees `NUCLEUS_PIXEL_SIZE`.

    Args:
        bundle: The model that finds the nuclei.
        options: Options for images that come without their own.
        pixel_size: Micrometres per pixel that the classifier was trained at.
    """

    def __init__(self, bundle: ModelBundle, options: PredictOptions, pixel_size: float) -> None:
        super().__init__(bundle, options)
        self._pixel_size = pixel_size

    def job(self, source: ImageSource, options: PredictOptions | None = None) -> TileJob[TileResult, StitchedLabels]:
        """Lay tiles over a slide; see `Predictor.job`.

        Raises:
            InputError: As `check_slide` and `check_colours`.
        """
        notes = check_slide(source, self._pixel_size)
        options = self.options if options is None else options
        if options.scale == "auto":
            options = options.changed(scale=max(source.pixel_size or ()) / NUCLEUS_PIXEL_SIZE)
        job = super().job(replace(source, notes=source.notes + notes), options)
        check_colours(source.name, job.fitted.source_channels)
        return job


def load_classifier(name_or_folder: str | Path) -> PatchClassifier:
    """Load a model that classifies patches, by its name or folder.

    Raises:
        ModelError: There is no such model, it is not whole, or it is of another task.
    """
    folder = resolve_model(name_or_folder)
    if folder_task(folder) == "semantic_segmentation":
        raise ModelError(
            f"model {str(name_or_folder)!r} assigns pixels to classes and classifies no patches: choose a classifier "
            "such as mitosis."
        )
    if folder_task(folder) == "instance_segmentation":
        raise ModelError(
            f"model {str(name_or_folder)!r} finds nuclei and classifies no patches: choose a classifier such as "
            f"mitosis, and name the model that finds the nuclei with `--model {name_or_folder}`."
        )
    classifier: PatchClassifier = ModelBundle.load(folder).model
    return classifier
