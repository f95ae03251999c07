"""Evaluate patch classification image by image: the content of `metrics.json` and `per_image.csv`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.points import first_of_close
from nucseg.core.types import PatchScores, Sample
from nucseg.metrics.groups import metrics_record
from nucseg.metrics.intervals import interval
from nucseg.metrics.patches.config import PatchEvaluationConfig
from nucseg.metrics.patches.definitions import METRICS
from nucseg.metrics.patches.hits import count_hits
from nucseg.metrics.patches.scores import (
    Score,
    average_precision,
    calibration_error,
    ratio,
    roc_auc,
    threshold_scores,
)

SMALLEST_FIELD = 512
"""Pixels a side from which on an image is a field, of which every mitosis is counted."""

_SEED = 0  # of the bootstrap: the same evaluation has the same intervals


@dataclass(frozen=True)
class _Image:
    """What is kept of one image.

    Attributes:
        sample: Its row of the manifest.
        probabilities: `(N,)` of the patches whose class is known.
        classes: `(N,)`, beside them.
        threshold: The model's.
        hits: True mitoses, found ones and pairs of both in a field; None in other images.
    """

    sample: Sample
    probabilities: NDArray[np.float32]
    classes: NDArray[np.int64]
    threshold: float
    hits: tuple[int, int, int] | None


class PatchEvaluator:
    """Collects the evaluation of one model, image by image. Results do not depend on the order of the images.

    Args:
        model: Name of the model.
        config: How it is measured.
    """

    def __init__(self, model: str, config: PatchEvaluationConfig) -> None:
        self.model = model
        self.config = config
        self._images: dict[str, _Image] = {}

    def update(self, sample: Sample, points: NDArray[np.int64], scores: PatchScores) -> None:
        """Add one image.

        Args:
            sample: Its row of the manifest.
            points: `(K, 2)` rows and columns of its true mitoses.
            scores: What the classifier says of its patches.

        Raises:
            InputError: The image was added before.
        """
        if sample.key in self._images:
            raise InputError(f"{sample.key}: already evaluated; add each image once.")
        known = scores.classes >= 0
        hits = None
        if min(scores.shape) >= SMALLEST_FIELD:
            found = scores.found()
            found = found[first_of_close(found, self.config.hit_distance)]
            hits = len(points), len(found), count_hits(points, found, self.config.hit_distance)
        self._images[sample.key] = _Image(
            sample, scores.probabilities[known], scores.classes[known], scores.threshold, hits
        )

    @property
    def per_image(self) -> pd.DataFrame:
        """The content of `per_image.csv`: one row an image, in the order in which they came."""
        return pd.DataFrame([_row(image) for image in self._images.values()])

    @property
    def patches(self) -> pd.DataFrame:
        """Class and probability of every patch whose class is known, with its dataset, sorted by image."""
        return pd.DataFrame(
            [
                {"dataset": image.sample.test_class or image.sample.dataset, "class": int(cls), "probability": float(p)}
                for _, image in sorted(self._images.items())
                for cls, p in zip(image.classes, image.probabilities, strict=True)
            ],
            columns=["dataset", "class", "probability"],
        )

    def result(self) -> dict[str, Any]:
        """Return the content of `metrics.json`; see `metrics_record`."""
        return metrics_record(self.model, [image for _, image in sorted(self._images.items())], self._group, METRICS)

    def _group(self, images: Sequence[_Image]) -> dict[str, Any]:
        probabilities = np.concatenate([np.zeros(0, np.float32), *(image.probabilities for image in images)])
        classes = np.concatenate([np.zeros(0, np.int64), *(image.classes for image in images)])
        threshold = images[0].threshold if images else 0.5
        names = [image.sample.case or image.sample.key for image in images]
        cases = np.repeat(np.unique(names, return_inverse=True)[1], [len(image.classes) for image in images])
        n_true = int((classes == 1).sum())
        at_threshold = threshold_scores(probabilities, classes, threshold)
        found = {
            **at_threshold,
            "average_precision": average_precision(probabilities, classes),
            "roc_auc": roc_auc(probabilities, classes),
            "calibration_error": calibration_error(probabilities, classes),
            **self._intervals(probabilities, classes, threshold, cases),
            **_field_scores([image.hits for image in images if image.hits is not None]),
        }
        counts = {
            "n_images": len(images),
            "n_cases": len(set(names)),
            "n_patches": len(classes),
            "n_true": n_true,
            "n_pred": int((probabilities >= np.float32(threshold)).sum()),
            "prevalence": ratio(n_true, len(classes)),
        }
        return {row.key: (counts | found)[row.key] for row in METRICS if row.key in counts | found}

    def _intervals(
        self, probabilities: NDArray, classes: NDArray, threshold: float, cases: NDArray
    ) -> dict[str, Score]:
        """Compute 95 % intervals of F1 and average precision: whole cases are drawn, as patches of one are alike."""
        n_cases = int(cases.max()) + 1 if len(cases) else 0
        if not self.config.bootstrap or n_cases < 2:
            return {}
        rng = np.random.default_rng(_SEED)
        drawn: dict[str, list[float]] = {"f1": [], "average_precision": []}
        for _ in range(self.config.bootstrap):
            weights = np.bincount(rng.integers(n_cases, size=n_cases), minlength=n_cases)[cases]
            resampled = {
                "f1": threshold_scores(probabilities, classes, threshold, weights)["f1"],
                "average_precision": average_precision(probabilities, classes, weights),
            }
            for key, value in resampled.items():
                if value is not None:
                    drawn[key].append(value)
        return {end: value for key, values in drawn.items() for end, value in interval(key, np.array(values)).items()}


def _field_scores(hits: Sequence[tuple[int, int, int]]) -> dict[str, Any]:
    if not hits:
        return {}
    n_true, n_found, n_hits = (sum(each) for each in zip(*hits, strict=True))
    return {
        "n_fields": len(hits),
        "field_f1": ratio(2 * n_hits, n_true + n_found),
        "field_precision": ratio(n_hits, n_found),
        "field_recall": ratio(n_hits, n_true),
    }


def _row(image: _Image) -> dict[str, Any]:
    """Return the row of an image; `agreement` is the worst of its patches: the probability of the true class."""
    sample, true = image.sample, image.classes == 1
    found = image.probabilities >= np.float32(image.threshold)
    of_true = np.where(true, image.probabilities, 1 - image.probabilities)
    return {
        "image_id": sample.image_id,
        "dataset": sample.dataset,
        "split": sample.split,
        "modality": sample.modality,
        "test_class": sample.test_class,
        "case": sample.case,
        "n_true": int(true.sum()),
        "n_pred": int(found.sum()),
        "n_missed": int((true & ~found).sum()),
        "n_false": int((~true & found).sum()),
        "agreement": float(of_true.min()) if len(of_true) else None,
    }
