"""Semantic segmentation: a class map, and the class of every pixel."""

import base64
import binascii
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel

from nucseg.core.errors import InputError
from nucseg.core.types import ClassPrediction, Sample
from nucseg.images.io import read_image, read_labels
from nucseg.metrics.semantic.config import SemanticEvaluationConfig
from nucseg.metrics.semantic.evaluator import SemanticEvaluator
from nucseg.models.bundle import ModelBundle
from nucseg.reporting.config import ImageChoice, SemanticVisualizationConfig
from nucseg.reporting.page import Page
from nucseg.reporting.semantic.page import SEMANTIC
from nucseg.reporting.semantic.pictures import draw_classes
from nucseg.training.config import SemanticSamplingConfig

if TYPE_CHECKING:
    from nucseg.training.train import TaskTraining

SECTION: str | None = "semantic"
SAMPLING: type[BaseModel] = SemanticSamplingConfig
EVALUATION: type[BaseModel] = SemanticEvaluationConfig
VISUALIZATION: type[ImageChoice] = SemanticVisualizationConfig
PAGE: Page = SEMANTIC
MINES: bool = False
TABLES: tuple[str, ...] = ("confusion", "reliability")
EXPORTS: tuple[str, ...] = ("areas",)


@dataclass(frozen=True)
class Prediction:
    """The class map of an image, and what the model calls the classes."""

    found: ClassPrediction
    names: tuple[str, ...]


def training() -> "TaskTraining":
    """Return what training takes of class maps."""
    from nucseg.training.class_maps import make_patches, seen_class_maps, validation_scores
    from nucseg.training.train import TaskTraining

    return TaskTraining(make_patches, seen_class_maps, validation_scores)


def read_truth(sample: Sample) -> NDArray:
    """Read the class map."""
    return read_labels(sample.label_file())


def predictor(bundle: ModelBundle, config: SemanticEvaluationConfig) -> Callable[[Sample], Prediction]:
    """Return the function that finds the class of each pixel of a sample."""
    from nucseg.inference.options import PredictOptions
    from nucseg.inference.semantic.predictor import SemanticPredictor

    options = PredictOptions(precision=config.precision, scale=1)
    model = SemanticPredictor(bundle, options)

    def predict(sample: Sample) -> Prediction:
        own = options.changed(magnification=sample.magnification)
        found = model.predict(read_image(sample.image_path), own, name=sample.key)
        return Prediction(found, tuple(bundle.model.classes))

    return predict


def predicted(prediction: Prediction) -> NDArray:
    """Return the class map."""
    return prediction.found.classes


def to_record(sample: Sample, prediction: Prediction) -> dict[str, Any]:
    """Create the record of a class map: its pictures are PNG in base64."""
    return {
        "image": sample.key,
        "names": list(prediction.names),
        "classes": _encoded(prediction.found.classes),
        "confidence": _encoded(prediction.found.confidence),
    }


def from_record(record: Mapping[str, Any]) -> Prediction:
    """Read the record of a class map."""
    try:
        found = ClassPrediction(_decoded(record["classes"]), _decoded(record["confidence"]))
        return Prediction(found, tuple(map(str, record["names"])))
    except (KeyError, TypeError, OSError, binascii.Error, ValueError) as error:
        raise InputError(f"the record of a class map is damaged ({error!r}); run model_evaluation again.") from error


def evaluate(
    model: str, images: Iterable[tuple[Sample, NDArray, Prediction]], config: SemanticEvaluationConfig
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return metrics, the row of each image, the confusion matrix and the reliability of the probabilities."""
    evaluator: SemanticEvaluator | None = None
    for sample, truth, prediction in images:
        evaluator = evaluator or SemanticEvaluator(model, prediction.names, config)
        evaluator.update(sample, truth, prediction.found)
    if evaluator is None:
        raise InputError(f"{model}: there is no image to evaluate; the test split is empty.")
    return evaluator.result(), evaluator.per_image, evaluator.confusion, evaluator.reliability


def exports(predictions: Iterable[tuple[Sample, Prediction]]) -> tuple[pd.DataFrame]:
    """Return the content of `areas.csv`: the pixels of each class in each image."""
    rows = []
    for sample, prediction in predictions:
        pixels = np.bincount(prediction.found.classes.ravel(), minlength=len(prediction.names))
        rows += [
            {"image": sample.key, "class": name, "pixels": int(count), "share": count / pixels.sum()}
            for name, count in zip(prediction.names, pixels, strict=True)
        ]
    return (pd.DataFrame(rows, columns=["image", "class", "pixels", "share"]),)


def draw(
    image: NDArray, truth: NDArray, prediction: Prediction, facts: Mapping[str, Any], config: ImageChoice
) -> Image.Image:
    """Draw image, truth, prediction and errors side by side."""
    return draw_classes(image, truth, prediction.found.classes)


def _encoded(pixels: NDArray[np.uint8]) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")


def _decoded(text: str) -> NDArray[np.uint8]:
    return np.array(Image.open(io.BytesIO(base64.b64decode(text, validate=True))), np.uint8)
