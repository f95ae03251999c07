"""Evaluate instance segmentation image by image: the content of `metrics.json` and `per_image.csv`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.types import Instances, Sample
from nucseg.metrics.groups import metrics_record
from nucseg.metrics.instances.coco_ap import coco_average_precision, matched_ious
from nucseg.metrics.instances.config import MetricsConfig
from nucseg.metrics.instances.counts import DIAMETERS, Counts, count, pool
from nucseg.metrics.instances.definitions import INTERVALS, METRICS
from nucseg.metrics.instances.outcome import Outcome, outcome
from nucseg.metrics.instances.overlap import Overlaps, overlaps
from nucseg.metrics.instances.scores import Score, headline_scores, image_scores, mean, pooled_scores, ratio
from nucseg.metrics.intervals import interval, resampled_sums


@dataclass(frozen=True)
class _Image:
    """What is kept of one image.

    Attributes:
        sample: Its row of the manifest.
        counts: Counts of the thresholded prediction.
        scores: Its scores, by key.
        errors: Its errors by kind.
        candidate_scores: `(N,)` float32, for `map`; empty if that is not asked for.
        candidate_ious: `(N,)` float64, beside them.
    """

    sample: Sample
    counts: Counts
    scores: dict[str, Score]
    errors: dict[str, int]
    candidate_scores: NDArray[np.float32]
    candidate_ious: NDArray[np.float64]


class Evaluator:
    """Collects the evaluation of one model, image by image.

    It keeps counts, scores, and the score and IoU of each candidate, but no image. Results do not depend on the order
    of the images.
    """

    def __init__(self, model: str, config: MetricsConfig | None = None) -> None:
        """Create an evaluator without images.

        Args:
            model: Name of the model, for the report.
            config: Which metrics to compute; None for all.
        """
        self.model = model
        self.config = config or MetricsConfig()
        self._images: dict[str, _Image] = {}

    def update(
        self, sample: Sample, truth: NDArray[np.integer], candidates: Instances, score_threshold: float
    ) -> dict[str, Any]:
        """Add one image.

        Args:
            sample: Its row of the manifest.
            truth: True label image `(H, W)`, any integer dtype, gaps allowed.
            candidates: The prediction down to a low score, `(H, W)`; `map` ranks all of it.
            score_threshold: The model's own threshold; the candidates with at least this score are the prediction that
                all other metrics judge.

        Returns:
            The image's row of `per_image.csv`.

        Raises:
            InputError: The image was added before, the label images differ in shape, or scores and labels of the
                candidates do not match.
        """
        if sample.key in self._images:
            raise InputError(f"{sample.key}: already evaluated; add each image once.")
        try:
            found = overlaps(truth, candidates.labels)
        except InputError as error:
            raise InputError(f"{sample.key}: {error}") from error
        _check_scores(sample, found, candidates)
        pred = found.where_pred(candidates.scores >= np.float32(score_threshold))
        counts = count(pred)
        ranked = "map" in self.config.metrics
        image = _Image(
            sample=sample,
            counts=counts,
            scores=image_scores(counts),
            errors=_error_counts(outcome(pred)),
            candidate_scores=candidates.scores.astype(np.float32) if ranked else np.zeros(0, np.float32),
            candidate_ious=matched_ious(found, candidates.scores) if ranked else np.zeros(0),
        )
        self._images[sample.key] = image
        return self._row(image)

    @property
    def per_image(self) -> list[dict[str, Any]]:
        """The rows of `per_image.csv`, in the order in which the images were added; undefined values are None."""
        return [self._row(image) for image in self._images.values()]

    def result(self) -> dict[str, Any]:
        """Return the content of `metrics.json`.

        Returns:
            What `metrics_record` returns, and `recall_by_diameter` over all images: a row for each class of diameters
            with `from` and `to` in pixels (None: without limit), `n_true` and `recall_50`.
        """
        # Sorted, so that neither tied scores nor rounding make the result depend on the order of the images.
        images = [image for _, image in sorted(self._images.items())]
        rows = [*METRICS, *(row for ends in INTERVALS.values() for row in ends)]
        record = metrics_record(self.model, images, self._group, rows)
        return record | {"recall_by_diameter": _recall_by_diameter(pool(image.counts for image in images))}

    def _group(self, images: Sequence[_Image]) -> dict[str, Any]:
        counts = pool(image.counts for image in images)
        scores = pooled_scores(counts)
        scores["ap_mean_50_90_per_image"] = mean(image.scores["ap_mean_50_90"] for image in images)
        scores["dsb2018_score"] = mean(image.scores["ap_mean_50_95"] for image in images)
        if "map" in self.config.metrics:
            scores["map"] = coco_average_precision(
                np.concatenate([np.zeros(0, np.float32), *(image.candidate_scores for image in images)]),
                np.concatenate([np.zeros(0), *(image.candidate_ious for image in images)]),
                counts.n_true,
            )
        sizes = {"n_images": len(images), "n_true": counts.n_true, "n_pred": counts.n_pred}
        known = sizes | scores | self._intervals(images)
        keys = [end for key in self.config.keys for end in (key, f"{key}_low", f"{key}_high")]
        return {key: known[key] for key in (*sizes, *keys) if key in known}

    def _intervals(self, images: Sequence[_Image]) -> dict[str, Score]:
        values = np.array(
            [
                (image.counts.n_true, image.counts.n_pred, *image.counts.tp, image.scores["ap_mean_50_95"], 1)
                for image in images
            ]
        )
        sums = resampled_sums(values, [image.sample for image in images], self.config.bootstrap)
        if sums is None:
            return {}
        return {
            end: value for key, drawn in headline_scores(sums).items() for end, value in interval(key, drawn).items()
        }

    def _row(self, image: _Image) -> dict[str, Any]:
        sample, counts, scores = image.sample, image.counts, dict(image.scores)
        scores["dsb2018_score"] = scores["ap_mean_50_95"]
        keys = (key.removesuffix("_per_image") for key in self.config.keys)
        tp = int(counts.tp[0])
        return {
            "image_id": sample.image_id,
            "dataset": sample.dataset,
            "split": sample.split,
            "modality": sample.modality,
            "test_class": sample.test_class,
            "n_true": counts.n_true,
            "n_pred": counts.n_pred,
            "tp_50": tp,
            "fp_50": counts.n_pred - tp,
            "fn_50": counts.n_true - tp,
            **{key: scores[key] for key in keys if key in scores},  # `map` needs more than one image
            **image.errors,
        }


def _recall_by_diameter(counts: Counts) -> list[dict[str, Any]]:
    return [
        {"from": low, "to": None if np.isinf(high) else high, "n_true": int(n_true), "recall_50": ratio(found, n_true)}
        for low, high, n_true, found in zip(
            DIAMETERS, DIAMETERS[1:], counts.true_by_diameter, counts.found_by_diameter, strict=False
        )
    ]


def _check_scores(sample: Sample, found: Overlaps, candidates: Instances) -> None:
    n_scores, n_labels = len(candidates.scores), len(found.pred_labels)
    if n_scores != n_labels or (n_labels and found.pred_labels[-1] != n_labels):
        raise InputError(
            f"{sample.key}: the prediction has {n_scores} scores and {n_labels} labels; "
            "labels must be 1..N without gaps with one score each."
        )
    if not ((candidates.scores >= 0) & (candidates.scores <= 1)).all():
        raise InputError(f"{sample.key}: a score of the prediction is not in [0, 1].")


def _error_counts(errors: Outcome) -> dict[str, int]:
    return {f"n_{kind}": len(labels) for kind, labels in vars(errors).items()}
