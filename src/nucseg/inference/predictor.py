"""The one way from an image to its nuclei: preprocessing, scale, tiles, and an engine that runs them."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

from numpy.typing import NDArray

from nucseg.core.errors import ModelError
from nucseg.core.types import Instances
from nucseg.images.source import ImageSource, array_source
from nucseg.inference.engine import TileJob
from nucseg.inference.instances.parts import TileResult
from nucseg.inference.instances.steps import InstanceSteps
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.inference.job import make_job
from nucseg.inference.options import PredictOptions
from nucseg.inference.tiled import predict_here
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.models.registry import folder_task, resolve_model

_DEFAULT = PredictOptions()


class Predictor:
    """Applies a model's own preprocessing, predicts, and maps the answer back to the frame of the image.

    Args:
        bundle: The model.
        options: Options for images that come without their own.

    Attributes:
        bundle: The model.
        options: As given.
        precision: The precision in effect.

    Raises:
        ConfigError: The precision is not available.
    """

    def __init__(self, bundle: ModelBundle, options: PredictOptions = _DEFAULT) -> None:
        self.bundle = bundle
        self.options = options
        self.precision = use_precision(options.precision)

    @classmethod
    def load(cls, name_or_folder: str | Path, options: PredictOptions = _DEFAULT) -> Self:
        """Load a model by its name or folder, as `resolve_model` finds it.

        Raises:
            ModelError: There is no such model, it is incomplete, or it does not find nuclei.
        """
        return cls(load_segmenter(name_or_folder), options)

    @property
    def score_threshold(self) -> float:
        """The model's own score threshold, tuned on validation images."""
        return self.bundle.model.thresholds["score"]

    def predict(self, image: NDArray, options: PredictOptions | None = None, *, name: str = "image") -> Instances:
        """Find the nuclei of one image in memory, on this machine.

        The nuclei found with a low `score_threshold`, filtered by `.above(high)`, are those found with the high one.

        Args:
            image: `(H, W)` or `(H, W, C)` with C of 1, 3 or 4, any integer, boolean or float dtype; as stored, not
                normalised.
            options: How it is predicted; None takes the predictor's own. Channel and plane are ignored.
            name: Name of the image in errors.

        Returns:
            The nuclei in the frame of `image`, by decreasing score.

        Raises:
            InputError: It is not an image, or shows several stains in colour.
        """
        return self.predict_source(array_source(image, name), options).instances().by_score()

    def predict_source(
        self,
        source: ImageSource,
        options: PredictOptions | None = None,
        *,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> StitchedLabels:
        """Find the nuclei of an image of any size, tile by tile, on this machine, and log the notes on how it was read.

        Args:
            source: The image.
            options: As in `job`.
            progress: Called with the finished fraction, before each piece is read and after each tile; an exception
                that it raises ends the prediction.

        Raises:
            InputError: As `job`.
        """
        return predict_here(lambda watched: self.job(watched, options), source, progress)

    def steps(self, options: PredictOptions) -> InstanceSteps:
        """Return the steps of a tile for the model's task."""
        return InstanceSteps(self.bundle.model, options.score_threshold, self.bundle.run.sizes())

    def job(self, source: ImageSource, options: PredictOptions | None = None) -> TileJob[TileResult, StitchedLabels]:
        """Compute the statistics of an image and lay tiles over it; see `make_job`."""
        options = self.options if options is None else options
        return make_job(self.bundle, self.steps, source, options)


def load_segmenter(name_or_folder: str | Path) -> ModelBundle:
    """Load a model that finds nuclei, by its name or folder.

    Raises:
        ModelError: There is no such model, it is incomplete, or it is for another task.
    """
    folder = resolve_model(name_or_folder)
    if folder_task(folder) == "semantic_segmentation":
        raise ModelError(
            f"model {str(name_or_folder)!r} assigns pixels to classes and finds no single nuclei: use it with "
            f"`nucseg segment IMAGES --model {name_or_folder}`, or choose a model that finds nuclei, such as stardist."
        )
    if folder_task(folder) == "patch_classification":
        raise ModelError(
            f"model {str(name_or_folder)!r} classifies patches and finds no nuclei: use it with "
            f"`nucseg mitoses SLIDE --classifier {name_or_folder}`, or choose a model that finds nuclei, such as "
            "stardist."
        )
    return ModelBundle.load(folder)
