"""Nodes of model_evaluation; the only ones that read the test split's label images."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from nucseg.core.types import Sample
from nucseg.images.io import read_image, read_labels
from nucseg.masks.candidates import candidates_from_record, candidates_record
from nucseg.masks.labels import diameters
from nucseg.metrics.instances.evaluator import Evaluator
from nucseg.metrics.instances.sizes import size_rows
from nucseg.models.bundle import ModelBundle
from nucseg.models.run import images_seen
from nucseg.params import EvaluationConfig
from nucseg.reporting.exports import coco_results, submission_rows

logger = logging.getLogger(__name__)

LazyRecords = dict[str, Callable[[], dict[str, Any]]]


def describe(model: ModelBundle) -> dict[str, Any]:
    """Put the model's lineage beside its scores.

    Args:
        model: The model.

    Returns:
        Its name and its run record.
    """
    return {"model": model.name, **model.run}


def predict(
    model: ModelBundle, samples: list[Sample], config: EvaluationConfig
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]]:
    """Predict the test split, one image at a time.

    Args:
        model: The model.
        samples: The manifest.
        config: Scale, precision and how far down candidates are kept.

    Yields:
        Predicted label image and candidates by `<dataset>/<image_id>`.
    """
    from nucseg.inference.predictor import Predictor

    _warn_of_seen(model, test_split(samples))
    predictor = Predictor(model, precision=config.precision)
    for sample in tqdm(test_split(samples), desc="predict", unit="image"):
        candidates = predictor.predict(
            read_image(sample.image_path),
            magnification=sample.magnification,
            score_threshold=config.candidate_score,
            name=sample.key,
        )
        record = candidates_record(sample, candidates, predictor.score_threshold)
        yield {sample.key: candidates.above(predictor.score_threshold).labels}, {sample.key: record}


def score(
    candidates: LazyRecords, samples: list[Sample], run: dict[str, Any], config: EvaluationConfig
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Measure the predictions against the truth, image by image.

    Args:
        candidates: Candidates of each test image.
        samples: The manifest.
        run: The model's run record, for its name.
        config: Which metrics are computed.

    Returns:
        The content of `metrics.json`, of `per_image.csv`, and the diameters of true and predicted nuclei.
    """
    evaluator = Evaluator(run["model"], config)
    sizes = []
    for sample in tqdm(test_split(samples), desc="score", unit="image"):
        instances, threshold = candidates_from_record(candidates[sample.key]())
        truth = read_labels(sample.label_path)
        evaluator.update(sample, truth, instances, threshold)
        sizes.append(size_rows(sample.dataset, diameters(truth), diameters(instances.above(threshold).labels)))
    return evaluator.result(), pd.DataFrame(evaluator.per_image), pd.concat(sizes)


def export(candidates: LazyRecords, samples: list[Sample]) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Write the predictions in the formats of Kaggle and COCO.

    Args:
        candidates: Candidates of each test image.
        samples: The manifest.

    Returns:
        The content of `submission.csv` (the prediction) and of `coco.json` (all candidates, with scores).
    """
    rows, results = [], []
    for sample in test_split(samples):
        instances, threshold = candidates_from_record(candidates[sample.key]())
        rows += submission_rows(sample.image_id, instances.above(threshold))
        results += coco_results(sample.key, instances)
    return pd.DataFrame(rows, columns=["ImageId", "EncodedPixels"]), results


def _warn_of_seen(model: ModelBundle, samples: list[Sample]) -> None:
    """Say so where a model saw test images in its training: it came from a manifest that is split in another way."""
    seen = {sample.key for sample in samples}.intersection(images_seen(model.run).get("train", set()))
    if seen:
        logger.warning(
            "%d of the %d test images, such as %s, were among those that %s was trained on: "
            "their scores are not those of unseen images.",
            len(seen),
            len(samples),
            min(seen),
            model.name,
        )


def test_split(samples: list[Sample]) -> list[Sample]:
    """Keep the samples of the test split."""
    return [sample for sample in samples if sample.split == "test"]
