"""Instance segmentation: a label image, and a score for each nucleus."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel

from nucseg.core.types import Instances, Sample
from nucseg.images.io import read_image, read_labels
from nucseg.masks.candidates import candidates_from_record, candidates_record
from nucseg.masks.labels import diameters
from nucseg.metrics.instances.evaluator import Evaluator
from nucseg.metrics.instances.sizes import size_rows
from nucseg.models.bundle import ModelBundle
from nucseg.params import EvaluationConfig
from nucseg.reporting.config import ImageChoice, VisualizationConfig
from nucseg.reporting.instances.exports import coco_results, submission_rows
from nucseg.reporting.instances.overlay import draw_overlay
from nucseg.reporting.instances.page import NUCLEI
from nucseg.reporting.page import Page
from nucseg.reporting.pictures import rasterize
from nucseg.training.config import SamplingConfig

if TYPE_CHECKING:
    from nucseg.training.train import TaskTraining

SECTION: str | None = None
SAMPLING: type[BaseModel] = SamplingConfig
EVALUATION: type[BaseModel] = EvaluationConfig
VISUALIZATION: type[ImageChoice] = VisualizationConfig
PAGE: Page = NUCLEI
MINES: bool = False
TABLES: tuple[str, ...] = ("sizes",)
EXPORTS: tuple[str, ...] = ("submission", "coco")

Prediction = tuple[Instances, float]
"""Everything that was found, down to a low score, and the model's own score threshold: what is above it counts."""


def training() -> "TaskTraining":
    """Return what training takes of label images."""
    from nucseg.training.patches import make_patches
    from nucseg.training.pictures import view_nuclei
    from nucseg.training.scores import seen_images, validation_scores
    from nucseg.training.train import TaskTraining

    return TaskTraining(make_patches, seen_images, validation_scores, view_nuclei)


def read_truth(sample: Sample) -> NDArray:
    """Read the label image."""
    return read_labels(sample.label_file())


def predictor(bundle: ModelBundle, config: EvaluationConfig) -> Callable[[Sample], Prediction]:
    """Return the function that finds the nuclei of a sample down to the score of the evaluation."""
    from nucseg.inference.options import PredictOptions
    from nucseg.inference.predictor import Predictor

    options = PredictOptions(precision=config.precision, score_threshold=config.candidate_score)
    model = Predictor(bundle, options)

    def predict(sample: Sample) -> Prediction:
        own = options.changed(magnification=sample.magnification)
        found = model.predict(read_image(sample.image_path), own, name=sample.key)
        return found, model.score_threshold

    return predict


def predicted(prediction: Prediction) -> NDArray:
    """Return the label image of the nuclei above the model's threshold."""
    found, threshold = prediction
    return found.above(threshold).labels


def to_record(sample: Sample, prediction: Prediction) -> dict[str, Any]:
    """Create the record of an image's candidates."""
    return candidates_record(sample, *prediction)


def from_record(record: Mapping[str, Any]) -> Prediction:
    """Read the record of an image's candidates."""
    return candidates_from_record(record)


def evaluate(
    model: str, images: Iterable[tuple[Sample, NDArray, Prediction]], config: EvaluationConfig
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Return metrics, scores of each image, and the diameters of true and predicted nuclei."""
    evaluator, sizes = Evaluator(model, config), []
    for sample, truth, prediction in images:
        evaluator.update(sample, truth, *prediction)
        sizes.append(size_rows(sample.dataset, diameters(truth), diameters(predicted(prediction))))
    return evaluator.result(), pd.DataFrame(evaluator.per_image), pd.concat(sizes)


def exports(predictions: Iterable[tuple[Sample, Prediction]]) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Return the content of Kaggle's `submission.csv` (the prediction) and of `coco.json` (all candidates)."""
    rows, results = [], []
    for sample, (found, threshold) in predictions:
        rows += submission_rows(sample.image_id, found.above(threshold))
        results += coco_results(sample.key, found)
    return pd.DataFrame(rows, columns=["ImageId", "EncodedPixels"]), results


def draw(
    image: NDArray, truth: NDArray, prediction: Prediction, facts: Mapping[str, Any], config: VisualizationConfig
) -> Image.Image:
    """Draw true and predicted outlines side by side."""
    return rasterize(draw_overlay(image, truth, predicted(prediction), facts, config.stretch))
