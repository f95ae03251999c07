"""Classes of pixels over HTTP: images as tasks, and the probabilities as the mask, as the service am-segm has it."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from nucseg.core.window import Window
from nucseg.images.source import ImageSource, array_source
from nucseg.inference.options import PredictOptions
from nucseg.serving.answers.contract import Contract
from nucseg.serving.answers.served import ServedModel
from nucseg.serving.results import CLASSES
from nucseg.serving.settings import Settings

if TYPE_CHECKING:
    from nucseg.inference.semantic.parts import ClassMosaic
    from nucseg.inference.semantic.predictor import SemanticPredictor


class ServedClasses:
    """A model that assigns pixels to classes; see `ServedModel`.

    Args:
        predictor: The model.
    """

    def __init__(self, predictor: "SemanticPredictor") -> None:
        self._predictor = predictor

    def predict(self, image: NDArray, options: PredictOptions, *, name: str = "image") -> "ClassMosaic":
        """Find the classes of an image in memory."""
        return self._predictor.predict_source(array_source(image, name), options)

    def predict_source(
        self, source: ImageSource, options: PredictOptions, *, progress: Callable[[float], None]
    ) -> "ClassMosaic":
        """Find the classes of an image of any size."""
        return self._predictor.predict_source(source, options, progress=progress)


def load(folder: Path, settings: Settings) -> ServedModel:
    """Load a model that assigns pixels to classes; imports TensorFlow."""
    from nucseg.inference.semantic.predictor import load_semantic

    return ServedClasses(load_semantic(folder, PredictOptions(precision=settings.precision)))


def check(image: NDArray, kind: str) -> NDArray:
    """Return the image: of any size, and grey or in colours."""
    return image


def classes(config: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of the classes, from 0 on."""
    return [str(name) for name in config["architecture"]["classes"]]


def max_facts(datasets: dict[str, str], classes: Sequence[str]) -> dict[str, str]:
    """Return no facts: there is no such MAX service."""
    return {}


def count(found: "ClassMosaic") -> None:
    """Return None: nuclei are not counted."""


def encode(found: "ClassMosaic") -> bytes:
    """Return the mask as PNG: 255 where a pixel is of any class but 0."""
    return bytes(imagecodecs.png_encode((found.classes(Window.whole(found.shape)) > 0) * np.uint8(255)))


CONTRACT = Contract(
    answer=None,
    files=CLASSES,
    batch=("classes", "mask"),
    labels=None,
    has_outlines=False,
    takes_threshold=False,
    finds_nuclei=False,
    encode_mask=encode,
    example=np.zeros((64, 64), np.uint8),
    title="Semantic segmentation",
    description="Find the class of each pixel of images of any size, and its probability.",
    predict="",
    invocations="Find the classes of the pixels of the image in the request body.\n\n"
    "The response is the mask as PNG: 255 where a pixel is of any class but 0.",
    image="PNG, TIFF or JPEG of any size up to the limit.",
    paths=("/models", "/tasks", "/masks"),
    wrong_type=HTTPStatus.BAD_REQUEST,
    titled_errors=True,
)
