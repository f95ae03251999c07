"""Scores of a trained model on the validation split, by which choices are made."""

from collections.abc import Sequence
from typing import Any

from nucseg.core.types import Precision, Sample
from nucseg.images.io import read_image, read_labels
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.metrics.instances.config import METRIC_NAMES, MetricsConfig
from nucseg.metrics.instances.evaluator import Evaluator
from nucseg.models.bundle import ModelBundle

# `map` also ranks candidates below the threshold: it would take most of the time, and no choice depends on it.
_METRICS = MetricsConfig(metrics=tuple(name for name in METRIC_NAMES if name != "map"))


def validation_scores(bundle: ModelBundle, samples: Sequence[Sample], precision: Precision) -> dict[str, Any]:
    """Evaluate a model on samples, as the evaluation does on the test split.

    Args:
        bundle: The model with its thresholds.
        samples: Samples of the val split.
        precision: Precision of the network.

    Returns:
        `overall` and, by name of the modality, `by_modality`: the metrics of `metrics.json` except `map`.

    Raises:
        InputError: A file is missing or unreadable.
    """
    options = PredictOptions(precision=precision)
    predictor = Predictor(bundle, options)
    evaluator = Evaluator(bundle.name, _METRICS)
    for sample in samples:
        own = options.changed(magnification=sample.magnification)
        found = predictor.predict(read_image(sample.image_path), own, name=sample.key)
        evaluator.update(sample, read_labels(sample.label_file()), found, predictor.score_threshold)
    result = evaluator.result()
    return {"overall": result["overall"], "by_modality": result["by"]["modality"]}
