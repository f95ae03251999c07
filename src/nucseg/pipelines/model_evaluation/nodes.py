"""Nodes of model_evaluation; the only ones that read the truth of the test split."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from nucseg.core.errors import InputError
from nucseg.core.types import Sample
from nucseg.models.bundle import ModelBundle
from nucseg.tasks.base import Task

logger = logging.getLogger(__name__)

LazyRecords = dict[str, Callable[[], dict[str, Any]]]


def describe(model: ModelBundle) -> dict[str, Any]:
    """Add the model's lineage to its scores.

    Args:
        model: The model.

    Returns:
        Its name and its run record.
    """
    return {"model": model.name, **model.run.content()}


def predictor(task: Task) -> Callable[..., Iterator[tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]]]:
    """Create the node function that predicts the test split with a model of a task."""

    def predict(
        model: ModelBundle, samples: list[Sample], config: Any
    ) -> Iterator[tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]]:
        """Predict the test split, one image at a time.

        Args:
            model: The model.
            samples: The manifest.
            config: How it is predicted: what becomes an `EVALUATION` of the task.

        Yields:
            Prediction and its record by `<dataset>/<image_id>`.
        """
        _warn_of_seen(model, test_split(samples))
        predict_sample = task.predictor(model, task.EVALUATION.model_validate(config))
        for sample in tqdm(test_split(samples), desc="predict", unit="image"):
            prediction = predict_sample(sample)
            yield {sample.key: task.predicted(prediction)}, {sample.key: task.to_record(sample, prediction)}

    return predict


def scorer(task: Task) -> Callable[..., tuple[dict[str, Any], pd.DataFrame, *tuple[pd.DataFrame, ...]]]:
    """Create the node function that scores the predictions of one model.

    Args:
        task: The model's task.
    """

    def score(
        candidates: LazyRecords, samples: list[Sample], config: Any, run: dict[str, Any]
    ) -> tuple[dict[str, Any], pd.DataFrame, *tuple[pd.DataFrame, ...]]:
        """Measure the predictions against the truth, image by image.

        Args:
            candidates: The record of each test image.
            samples: The manifest.
            config: Which metrics are computed: what becomes an `EVALUATION` of the task.
            run: From `describe`; the model's name in the report.

        Returns:
            The content of `metrics.json`, of `per_image.csv`, and the tables of the task.
        """
        images = (
            (sample, task.read_truth(sample), task.from_record(candidates[sample.key]()))
            for sample in tqdm(test_split(samples), desc="score", unit="image")
        )
        return task.evaluate(run["model"], images, task.EVALUATION.model_validate(config))

    return score


def exporter(task: Task) -> Callable[..., tuple[Any, ...]]:
    """Create the node function that writes the predictions in the formats of other programs."""

    def export(candidates: LazyRecords, samples: list[Sample]) -> tuple[Any, ...]:
        """Write the predictions in the formats of other programs.

        Args:
            candidates: The record of each test image.
            samples: The manifest.

        Returns:
            The content of each of the task's `EXPORTS`.
        """
        return task.exports((sample, task.from_record(candidates[sample.key]())) for sample in test_split(samples))

    return export


def _warn_of_seen(model: ModelBundle, samples: list[Sample]) -> None:
    """Warn if a model saw test images in training, which happens if its manifest was split differently."""
    trained_on = {sample.key for sample in samples}.intersection(model.run.images_seen().get("train", set()))
    if trained_on:
        logger.warning(
            "%d of the %d test images, such as %s, were used to train %s: their scores are not scores on unseen "
            "images.",
            len(trained_on),
            len(samples),
            min(trained_on),
            model.name,
        )


def test_split(samples: list[Sample]) -> list[Sample]:
    """Return the samples of the test split.

    Raises:
        InputError: There are none.
    """
    chosen = [sample for sample in samples if sample.split == "test"]
    if not chosen:
        raise InputError(
            "samples.csv: no image is in the test split, so there is nothing to evaluate; set "
            "data_preprocessing.split.test above 0, or add images."
        )
    return chosen
