"""Evaluate semantic segmentation image by image: the content of `metrics.json` and `per_image.csv`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.types import VOID, ClassPrediction, Sample
from nucseg.metrics.groups import metrics_record
from nucseg.metrics.intervals import interval, resampled_sums
from nucseg.metrics.semantic.config import SemanticEvaluationConfig
from nucseg.metrics.semantic.counts import NONE, Hits, boundary_hits, confusion_matrix, object_hits
from nucseg.metrics.semantic.definitions import metrics_of
from nucseg.metrics.semantic.scores import boundary_f1, class_dice, class_iou, mean_of_known, ratio, score

BINS = 20
"""Of equal width, for the reliability of the probabilities."""


@dataclass(frozen=True)
class _Image:
    """What is kept of one image.

    Attributes:
        sample: Its row of the manifest.
        confusion: `(C, C)`.
        boundaries: Boundary pixels of each class from 1 on.
        objects: Objects of the classes from 1 on, together.
        reliability: `(BINS, 3)` of the pixels by their probability: number, right ones, sum of probabilities.
    """

    sample: Sample
    confusion: NDArray[np.int64]
    boundaries: tuple[Hits, ...]
    objects: Hits
    reliability: NDArray[np.float64]


class SemanticEvaluator:
    """Collects the evaluation of one model, image by image. Results do not depend on the order of the images.

    Args:
        model: Name of the model.
        classes: Names of its classes, from 0 on.
        config: How it is measured.
    """

    def __init__(self, model: str, classes: Sequence[str], config: SemanticEvaluationConfig) -> None:
        self.model = model
        self.classes = tuple(classes)
        self.config = config
        self._images: dict[str, _Image] = {}

    def update(self, sample: Sample, truth: NDArray, prediction: ClassPrediction) -> None:
        """Add one image.

        Args:
            sample: Its row of the manifest.
            truth: Class map `(H, W)`; 255 is void.
            prediction: What the model says.

        Raises:
            InputError: The image was added before, the sizes differ, or the truth has a class that the model has not.
        """
        if sample.key in self._images:
            raise InputError(f"{sample.key}: already evaluated; add each image once.")
        predicted = prediction.classes
        if truth.shape != predicted.shape:
            raise InputError(f"{sample.key}: the truth has shape {truth.shape}, the prediction {predicted.shape}.")
        n_classes = len(self.classes)
        known = truth != VOID
        highest = int(truth[known].max(initial=0))
        if highest >= n_classes:
            raise InputError(
                f"{sample.key}: its truth has the class {highest}, but {self.model} has {n_classes} classes "
                f"({', '.join(self.classes)}). Evaluate it on data of these classes, or train a model of all classes."
            )
        numbers = range(1, n_classes)
        objects = [object_hits(truth, predicted, number, self.config.object_overlap) for number in numbers]
        self._images[sample.key] = _Image(
            sample,
            confusion_matrix(truth, predicted, n_classes),
            tuple(boundary_hits(truth, predicted, number, self.config.boundary_distance) for number in numbers),
            sum(objects, NONE),
            _reliability(prediction.confidence[known], (truth == predicted)[known]),
        )

    @property
    def per_image(self) -> pd.DataFrame:
        """The content of `per_image.csv`: one row an image, in the order in which they came."""
        return pd.DataFrame([self._row(image) for image in self._images.values()])

    @property
    def confusion(self) -> pd.DataFrame:
        """The confusion matrix over all images as a table: columns `true`, `predicted` and `pixels`."""
        summed = self._summed()
        return pd.DataFrame(
            [
                {"true": true, "predicted": predicted, "pixels": int(summed[row, column])}
                for row, true in enumerate(self.classes)
                for column, predicted in enumerate(self.classes)
            ]
        )

    @property
    def reliability(self) -> pd.DataFrame:
        """How often the class is right, by its probability: columns `probability`, `right` and `pixels`."""
        bins = sum((image.reliability for image in self._images.values()), np.zeros((BINS, 3)))
        bins = bins[bins[:, 0] > 0]
        return pd.DataFrame(
            {"probability": bins[:, 2] / bins[:, 0], "right": bins[:, 1] / bins[:, 0], "pixels": bins[:, 0].astype(int)}
        )

    def result(self) -> dict[str, Any]:
        """Return the content of `metrics.json`; see `metrics_record`."""
        images = [image for _, image in sorted(self._images.items())]
        return metrics_record(self.model, images, self._group, metrics_of(self.classes))

    def _summed(self) -> NDArray[np.int64]:
        empty = np.zeros((len(self.classes),) * 2, np.int64)
        return sum((image.confusion for image in self._images.values()), empty)

    def _group(self, images: Sequence[_Image]) -> dict[str, Any]:
        matrices = np.array([image.confusion for image in images]).reshape(-1, *(len(self.classes),) * 2)
        confusion = matrices.sum(0)
        objects = sum((image.objects for image in images), NONE)
        iou = class_iou(confusion)
        found: dict[str, Any] = {
            "n_images": len(images),
            "n_pixels": int(confusion.sum()),
            "n_true": objects.true,
            "n_pred": objects.predicted,
            "mean_iou": score(mean_of_known(iou)),
            "mean_iou_per_image": score(mean_of_known(mean_of_known(class_iou(matrices)))),
            "mean_dice": score(mean_of_known(class_dice(confusion))),
            "pixel_accuracy": ratio(np.trace(confusion), confusion.sum()),
            "boundary_f1": _mean_boundary([image.boundaries for image in images]),
            "object_recall": ratio(objects.found, objects.true),
            "object_precision": ratio(objects.right, objects.predicted),
            **self._intervals(images, matrices),
            **{f"iou_{name}": score(value) for name, value in zip(self.classes, iou, strict=True)},
        }
        return {row.key: found[row.key] for row in metrics_of(self.classes) if row.key in found}

    def _intervals(self, images: Sequence[_Image], matrices: NDArray[np.int64]) -> dict[str, Any]:
        """Compute the 95 % intervals of mean IoU and Dice."""
        resampled = resampled_sums(matrices, [image.sample for image in images], self.config.bootstrap)
        if resampled is None:
            return {}
        return interval("mean_iou", mean_of_known(class_iou(resampled))) | interval(
            "mean_dice", mean_of_known(class_dice(resampled))
        )

    def _row(self, image: _Image) -> dict[str, Any]:
        sample, confusion, objects = image.sample, image.confusion, image.objects
        return {
            "image_id": sample.image_id,
            "dataset": sample.dataset,
            "split": sample.split,
            "modality": sample.modality,
            "test_class": sample.test_class,
            "n_pixels": int(confusion.sum()),
            "n_true": objects.true,
            "n_pred": objects.predicted,
            "n_missed": objects.true - objects.found,
            "n_false": objects.predicted - objects.right,
            "mean_iou": score(mean_of_known(class_iou(confusion))),
            "mean_dice": score(mean_of_known(class_dice(confusion))),
            "pixel_accuracy": ratio(np.trace(confusion), confusion.sum()),
            "boundary_f1": _mean_boundary([image.boundaries]),
        }


def _mean_boundary(boundaries: Sequence[tuple[Hits, ...]]) -> float | None:
    by_class = (sum(hits, NONE) for hits in zip(*boundaries, strict=True))
    known = [value for hits in by_class if (value := boundary_f1(hits)) is not None]
    return float(np.mean(known)) if known else None


def _reliability(confidence: NDArray[np.uint8], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    probability = confidence / 255
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    return np.stack([np.bincount(bins, weights, BINS) for weights in (None, right, probability)], 1)
