"""From an image to its class map, of any size."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError, ModelError
from nucseg.core.types import ClassPrediction
from nucseg.core.window import Window
from nucseg.images.source import ImageSource, array_source
from nucseg.images.survey import Survey
from nucseg.inference.engine import TileJob
from nucseg.inference.job import make_job
from nucseg.inference.options import PredictOptions
from nucseg.inference.semantic.parts import ClassMosaic, ClassPart
from nucseg.inference.semantic.steps import SemanticSteps
from nucseg.inference.tiled import predict_here
from nucseg.inference.view import NetworkView
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.models.registry import folder_task, resolve_model

_DEFAULT = PredictOptions()


class SemanticPredictor:
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

    def predict(self, image: NDArray, options: PredictOptions | None = None, *, name: str = "image") -> ClassPrediction:
        """Find the class of each pixel of one image in memory, on this machine.

        Args:
            image: `(H, W)` or `(H, W, C)` with C of 1, 3 or 4, as stored, not normalised.
            options: How it is predicted; None takes the predictor's own. Channel and plane are ignored.
            name: Name of the image in errors.

        Raises:
            InputError: It is not an image, or shows several stains in colour.
        """
        return self.predict_source(array_source(image, name), options).prediction()

    def predict_source(
        self,
        source: ImageSource,
        options: PredictOptions | None = None,
        *,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> ClassMosaic:
        """Find the class of each pixel of an image of any size, tile by tile, and log the notes on how it was read.

        Args:
            source: The image.
            options: As in `predict`.
            progress: Called with the finished fraction, before each piece is read and after each tile; an exception
                that it raises ends the prediction.

        Raises:
            InputError: As `make_job`.
        """
        return predict_here(lambda watched: self.job(watched, options), source, progress)

    def predict_picture(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Find the class of each pixel of a picture of an everyday scene, which is no microscopy image.

        Its colours are colours, however they look, and all of it passes through the network at once.

        Args:
            image: `(H, W, 3)`, of at most the model's `max_side` pixels a side.

        Returns:
            The class map `(H, W)`.
        """
        use_precision(self.options.precision)
        source = array_source(image)
        view = NetworkView(source, self.bundle.preprocessor().fit_source(source, seen=Survey(3)), 1.0)
        whole = Window.whole(view.shape)
        (found,) = self.bundle.model.probabilities([view.read(whole)])
        return view.restore(found.argmax(-1).astype(np.uint8), whole)[0]

    def job(self, source: ImageSource, options: PredictOptions | None = None) -> TileJob[ClassPart, ClassMosaic]:
        """Compute the statistics of an image and lay tiles over it; see `make_job`.

        Raises:
            InputError: As `make_job`, or the model sees whole images and this one is too large.
        """
        options = self.options if options is None else options
        job = make_job(self.bundle, self.steps, source, options)
        if self.bundle.model.whole_images and len(job.grid) > 1:
            side = self.bundle.model.max_side
            raise InputError(
                f"{source.name}: {self.bundle.name} sees whole images of up to {side} pixels a side, not tiles, "
                f"and this one has {job.grid.shape[0]} x {job.grid.shape[1]}; shrink it with --scale "
                f"{0.99 * side / max(job.grid.shape) * job.scale:.2g}, or use a model without pooling."
            )
        return job

    def steps(self, options: PredictOptions) -> SemanticSteps:
        """Return the steps of a tile."""
        return SemanticSteps(self.bundle.model)


def load_semantic(name_or_folder: str | Path, options: PredictOptions = _DEFAULT) -> SemanticPredictor:
    """Load a model that assigns pixels to classes, by its name or folder.

    Raises:
        ModelError: There is no such model, it is incomplete, or it is for another task.
    """
    folder = resolve_model(name_or_folder)
    if folder_task(folder) not in (None, "semantic_segmentation"):
        raise ModelError(
            f"model {str(name_or_folder)!r} does not assign pixels to classes: choose a model that does, such as unet, "
            "or use it with `nucseg predict` or `nucseg mitoses`."
        )
    return SemanticPredictor(ModelBundle.load(folder), options)
