"""Everyday scenes over HTTP: the interface of MAX-Image-Segmenter."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, Field

from nucseg.core.errors import InputError, ModelError
from nucseg.core.window import Window
from nucseg.images.channels import to_rgb
from nucseg.images.source import ImageSource
from nucseg.inference.options import PredictOptions
from nucseg.models.deeplab.config import VOC_CLASSES
from nucseg.reporting.semantic.colours import palette
from nucseg.serving.answers.contract import Contract
from nucseg.serving.answers.labels import BARE
from nucseg.serving.answers.probabilities import classes
from nucseg.serving.answers.served import ServedModel
from nucseg.serving.settings import Settings

if TYPE_CHECKING:
    from nucseg.inference.semantic.predictor import SemanticPredictor

__all__ = ["CONTRACT", "check", "classes", "count", "encode", "load", "max_facts"]

_VOC = "VOCO 2012"  # what the MAX service calls Pascal VOC 2012
_DATASETS = {"voc2012": _VOC}


class SceneAnswer(BaseModel):
    """The class of each pixel of the resized image."""

    status: Literal["ok"] = "ok"
    image_size: list[int] = Field(
        min_length=2, max_length=2, description="Columns and rows of the resized image, which the map is as large as."
    )
    seg_map: list[list[int]] = Field(description="The class of each pixel, row by row; GET /model/labels names them.")


class ServedScenes:
    """A model for pictures of everyday scenes; see `ServedModel`.

    Args:
        predictor: The model.
        size: Pixels of the longer side to which pictures are resized.
    """

    def __init__(self, predictor: "SemanticPredictor", size: int) -> None:
        self._predictor = predictor
        self._size = size

    def predict(self, image: NDArray, options: PredictOptions, *, name: str = "image") -> NDArray[np.uint8]:
        """Find the class of each pixel of the resized picture."""
        return self._predictor.predict_picture(resized(image, self._size))

    def predict_source(
        self, source: ImageSource, options: PredictOptions, *, progress: Callable[[float], None]
    ) -> NDArray[np.uint8]:
        """Find the class of each pixel of the resized picture."""
        return self.predict(source.read(Window.whole(source.shape)), options)


def load(folder: Path, settings: Settings) -> ServedModel:
    """Load a DeepLab; imports TensorFlow.

    Raises:
        ModelError: It cannot take pictures as large as `image_size`.
    """
    from nucseg.inference.semantic.predictor import load_semantic

    predictor = load_semantic(folder, PredictOptions(precision=settings.precision))
    if settings.image_size > predictor.bundle.model.max_side:
        raise ModelError(
            f"model {folder.name}: takes images of up to {predictor.bundle.model.max_side} pixels a side; set "
            f"IMAGE_SIZE to at most that ({settings.image_size} is set)."
        )
    return ServedScenes(predictor, settings.image_size)


def check(image: NDArray, kind: str) -> NDArray[np.uint8]:
    """Return the picture in red, green and blue.

    Raises:
        InputError: It is not of 8 bits.
    """
    if image.dtype == bool:
        image = image * np.uint8(255)
    if image.dtype != np.uint8:
        raise InputError(f"image: has pixels of dtype {image.dtype}; send a picture of 8 bits.")
    return to_rgb(image)


def resized(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return a picture whose longer side is of this size, as the MAX service resizes it.

    Args:
        image: `(H, W, 3)`.
        size: Pixels.
    """
    height, width = image.shape[:2]
    ratio = size / max(width, height)
    columns, rows = max(1, int(ratio * width)), max(1, int(ratio * height))
    return np.asarray(Image.fromarray(image).resize((columns, rows), Image.Resampling.LANCZOS))


def max_facts(datasets: dict[str, str], classes: Sequence[str]) -> dict[str, str]:
    """Return the facts that MAX-Image-Segmenter's metadata have; see `Answers`.

    The published graphs say nothing of their training; classes of Pascal VOC are taken for theirs.
    """
    titles = [_DATASETS.get(name, title) for name, title in datasets.items()]
    untold = _VOC if tuple(classes) == VOC_CLASSES else "data that its record does not name"
    return {
        "id": "max-image-segmenter",
        "name": "MAX Image Segmenter",
        "description": "DeepLab TensorFlow model for semantic image segmentation, trained on "
        f"{' and '.join(titles) or untold}",
        "type": "Object Detection",
        "license": "Apache v2",
        "source": "nucseg, with the interface of max-image-segmenter",
    }


def count(found: NDArray[np.uint8]) -> None:
    """Return None: nuclei are not counted."""


def encode(found: NDArray[np.uint8]) -> bytes:
    """Return a class map as the JSON text of `SceneAnswer`."""
    answer = {"status": "ok", "image_size": [found.shape[1], found.shape[0]], "seg_map": found.tolist()}
    return json.dumps(answer, separators=(",", ":")).encode()


def encode_mask(found: NDArray[np.uint8]) -> bytes:
    """Return a class map as PNG with the colours of Pascal VOC as its palette."""
    picture = Image.fromarray(found, "P")
    picture.putpalette(palette().ravel().tolist())
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


CONTRACT = Contract(
    answer=SceneAnswer,
    files={},
    batch=(),
    labels=BARE,
    has_outlines=False,
    takes_threshold=False,
    finds_nuclei=False,
    encode_mask=encode_mask,
    example=np.zeros((64, 64, 3), np.uint8),
    title="MAX Image Segmenter",
    description="Find the class of each pixel of pictures of everyday scenes.",
    predict="Find the class of each pixel of a picture, which is resized before.",
    invocations="Find the class of each pixel of the picture in the request body, which is resized before.\n\n"
    "`Accept: image/png` or `application/x-image` asks for the class map as PNG with a palette.",
    image="An image file (encoded as PNG or JPG/JPEG).",
    version="1.2.0",
    invalid_image="The provided input is not a valid image.",
)
