"""Patch classification: points, and the class of the patches round them and away from them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel

from nucseg.core.types import PatchScores, Sample
from nucseg.datasets.points import draw_points, places
from nucseg.images.io import read_labels
from nucseg.metrics.patches.config import PatchEvaluationConfig
from nucseg.metrics.patches.evaluator import PatchEvaluator
from nucseg.models.bundle import ModelBundle
from nucseg.reporting.config import ImageChoice, PatchVisualizationConfig
from nucseg.reporting.page import Page
from nucseg.reporting.patches.page import PATCHES
from nucseg.reporting.patches.pictures import draw_patches
from nucseg.reporting.pictures import rasterize
from nucseg.training.config import PointSamplingConfig

if TYPE_CHECKING:
    from nucseg.training.train import TaskTraining

SECTION: str | None = "patches"
TABLES: tuple[str, ...] = ("classified",)
EXPORTS: tuple[str, ...] = ("found",)
SAMPLING: type[BaseModel] = PointSamplingConfig
EVALUATION: type[BaseModel] = PatchEvaluationConfig
VISUALIZATION: type[ImageChoice] = PatchVisualizationConfig
PAGE: Page = PATCHES
MINES: bool = True


def training() -> "TaskTraining":
    """Return what training takes of patches."""
    from nucseg.training.points import make_patches, seen_patches, validation_scores
    from nucseg.training.train import TaskTraining

    return TaskTraining(make_patches, seen_patches, validation_scores)


def mine(bundle: ModelBundle, samples: Sequence[Sample], sampling: PointSamplingConfig) -> pd.DataFrame:
    """Return the negatives of the train split that a first model takes for class 1."""
    from nucseg.training.points import mine_negatives

    return mine_negatives(bundle, samples, sampling)


def with_mined(sampling: PointSamplingConfig, mined: pd.DataFrame) -> PointSamplingConfig:
    """Return the sampling of a second training."""
    from nucseg.training import points

    return points.with_mined(sampling, mined)


def read_truth(sample: Sample) -> NDArray:
    """Read the annotated points, `(N, 2)` rows and columns."""
    return places(read_labels(sample.label_file()))


def predictor(bundle: ModelBundle, config: PatchEvaluationConfig) -> Callable[[Sample], PatchScores]:
    """Return the function that classifies the patches of a sample."""
    from nucseg.models.precision import use_precision
    from nucseg.training.points import classify_sample, sampling_of

    use_precision(config.precision)
    sampling = sampling_of(bundle)
    return lambda sample: classify_sample(bundle.model, sample, sampling)


def predicted(prediction: PatchScores) -> NDArray:
    """Return the points image of the patches of class 1."""
    found = prediction.found()
    return draw_points(prediction.shape, found[:, 0], found[:, 1])


def to_record(sample: Sample, prediction: PatchScores) -> dict[str, Any]:
    """Create the record of the patches of an image."""
    return {
        "image": sample.key,
        "shape": list(prediction.shape),
        "places": prediction.places.tolist(),
        "probabilities": [float(p) for p in prediction.probabilities],
        "classes": prediction.classes.tolist(),
        "threshold": prediction.threshold,
    }


def from_record(record: Mapping[str, Any]) -> PatchScores:
    """Read the record of the patches of an image."""
    from nucseg.core.errors import InputError

    try:
        return PatchScores(
            (int(record["shape"][0]), int(record["shape"][1])),
            np.array(record["places"], np.int64).reshape(-1, 2),
            np.array(record["probabilities"], np.float32),
            np.array(record["classes"], np.int64),
            float(record["threshold"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"the record of classified patches is damaged ({error!r}); run model_evaluation again."
        ) from error


def evaluate(
    model: str, images: Iterable[tuple[Sample, NDArray, PatchScores]], config: PatchEvaluationConfig
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Return metrics, the row of each image, and class and probability of each patch."""
    evaluator = PatchEvaluator(model, config)
    for sample, points, prediction in images:
        evaluator.update(sample, points, prediction)
    return evaluator.result(), evaluator.per_image, evaluator.patches


def exports(predictions: Iterable[tuple[Sample, PatchScores]]) -> tuple[pd.DataFrame]:
    """Return the content of `found.csv`: the places of class 1 in each image."""
    rows = [
        {"image": sample.key, "row": int(row), "column": int(column)}
        for sample, prediction in predictions
        for row, column in prediction.found()
    ]
    return (pd.DataFrame(rows, columns=["image", "row", "column"]),)


def draw(
    image: NDArray, truth: NDArray, prediction: PatchScores, facts: Mapping[str, Any], config: ImageChoice
) -> Image.Image:
    """Draw the patches that are classified worst."""
    return rasterize(draw_patches(image, prediction))
