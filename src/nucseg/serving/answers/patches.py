"""Mitoses over HTTP: the interface of MAX-Breast-Cancer-Mitosis-Detector, and slides as jobs."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from nucseg.core.errors import InputError, ModelError
from nucseg.images.source import ImageSource
from nucseg.inference.mitoses.config import NUCLEUS_SCORE
from nucseg.inference.options import PredictOptions
from nucseg.models.protocols import PatchClassifier
from nucseg.serving.answers.contract import Contract
from nucseg.serving.answers.served import ServedModel
from nucseg.serving.results import MITOSES
from nucseg.serving.settings import Settings

if TYPE_CHECKING:
    from nucseg.inference.mitoses.find import Mitoses
    from nucseg.inference.mitoses.predictor import SlidePredictor

_SIDE = 64  # pixels of the patches that clients send
_DATASETS = {"tupac16": "TUPAC16", "ami_br": "TUPAC16"}  # AMi-Br: the same slides with other labels, and more
_NUCLEI = 0.9  # share of the time that finding the nuclei takes


class Prediction(BaseModel):
    """What the patch shows."""

    probability: float = Field(ge=0, le=1, description="Probability that the patch shows a mitosis.")


class PredictAnswer(BaseModel):
    """The probability of a patch: always one."""

    status: Literal["ok"] = "ok"
    predictions: list[Prediction] = Field(min_length=1, max_length=1)


class ServedClassifier:
    """A classifier for patches, and for the nuclei of slides; see `ServedModel`.

    Args:
        classifier: The model.
        load_slides: Loads the model that finds nuclei on slides; called for the first slide.
    """

    def __init__(self, classifier: PatchClassifier, load_slides: "Callable[[], SlidePredictor]") -> None:
        self._classifier = classifier
        self._load_slides = load_slides

    @cached_property
    def _slides(self) -> "SlidePredictor":
        return self._load_slides()

    def predict(self, image: NDArray, options: PredictOptions, *, name: str = "image") -> float:
        """Return the probability of a patch."""
        return float(self._classifier.classify(image[None])[0])

    def predict_source(
        self, source: ImageSource, options: PredictOptions, *, progress: Callable[[float], None]
    ) -> "Mitoses":
        """Find the mitoses of a slide; the score threshold is the lowest probability of one."""
        from nucseg.inference.mitoses.find import find_mitoses

        threshold, options = options.score_threshold, options.changed(score_threshold=NUCLEUS_SCORE)
        nuclei = self._slides.predict_source(source, options, progress=lambda done: progress(_NUCLEI * done))
        return find_mitoses(
            nuclei,
            source,
            self._classifier,
            threshold,
            progress=lambda classified: progress(_NUCLEI + (1 - _NUCLEI) * classified / len(nuclei)),
        )


def load(folder: Path, settings: Settings) -> ServedModel:
    """Load a classifier; imports TensorFlow. The model that finds nuclei is loaded with the first slide."""
    from nucseg.inference.mitoses.predictor import SlidePredictor, load_classifier
    from nucseg.inference.predictor import load_segmenter

    classifier = load_classifier(folder)
    if classifier.patch_size != _SIDE:
        raise ModelError(
            f"model {folder.name}: takes patches of {classifier.patch_size} pixels a side; the service needs {_SIDE}."
        )
    options = PredictOptions(precision=settings.precision)
    return ServedClassifier(
        classifier, lambda: SlidePredictor(load_segmenter(settings.segmenter), options, classifier.pixel_size)
    )


def check(image: NDArray, kind: str) -> NDArray[np.uint8]:
    """Return the red, green and blue channels of a patch, or refuse an image that is not a patch.

    Raises:
        InputError: It is of another size, grey, or not of 8 bits.
    """
    height, width = image.shape[:2]
    if (height, width) != (_SIDE, _SIDE):  # the wording of the MAX service
        raise InputError(
            f"The input file must be a PNG image of size ({_SIDE}, {_SIDE}). Got {kind} ({width}, {height})."
        )
    if image.ndim == 2 or image.shape[2] < 3:
        raise InputError("image: is grey; mitoses are recognised in the colours of a stained slide. Send RGB.")
    if image.dtype != np.uint8:
        raise InputError(f"image: has pixels of dtype {image.dtype}; send RGB of 8 bits.")
    return image[..., :3]


def classes(config: Mapping[str, Any]) -> Sequence[str]:
    """Return the one class whose probability is told: mitoses."""
    return ("mitosis",)


def max_facts(datasets: dict[str, str], classes: Sequence[str]) -> dict[str, str]:
    """Return the facts that the metadata of MAX-Breast-Cancer-Mitosis-Detector have; see `Answers`."""
    used = " and ".join(dict.fromkeys(_DATASETS.get(name, title) for name, title in datasets.items())) or "unnamed"
    return {
        "id": "max breast cancer mitosis detector-keras-model",
        "name": "MAX Breast Cancer Mitosis Detector Keras Model",
        "description": f"MAX Breast Cancer Mitosis Detector Keras model trained on {used} data to detect mitosis",
        "type": "image_classification",
        "license": "Custom",
        "source": "nucseg",
    }


def count(found: "float | Mitoses") -> int:
    """Return the number of nuclei that were classified: those of a slide, none of a patch."""
    return 0 if isinstance(found, float) else found.nuclei


def encode(found: float) -> bytes:
    """Return a probability as the JSON text of `PredictAnswer`."""
    return json.dumps({"status": "ok", "predictions": [{"probability": found}]}, separators=(",", ":")).encode()


CONTRACT = Contract(
    answer=PredictAnswer,
    files=MITOSES,
    batch=(),
    labels=None,
    has_outlines=False,
    takes_threshold=False,
    finds_nuclei=True,
    encode_mask=None,
    example=np.zeros((_SIDE, _SIDE, 3), np.uint8),
    title="MAX Breast Cancer Mitosis Detector",
    description="Predict the probability that a patch shows a mitosis, and find the mitoses of whole slides.",
    predict="Predict the probability that a patch of 64 x 64 pixels shows a mitosis; slides go to POST /tasks.",
    invocations="Predict the probability that the patch of 64 x 64 pixels in the request body shows a mitosis.",
    image="An image file encoded as PNG with the size 64*64, RGB, 0.25 µm per pixel.",
)
