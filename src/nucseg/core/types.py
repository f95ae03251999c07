"""The project's main types: what a model found, and what the manifest says about one annotated image."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Modality = Literal["fluorescence", "histology", "brightfield"]

Precision = Literal["auto", "float32", "bfloat16"]
"""What networks may be asked to compute in; `auto` is bfloat16 where the processor is faster in it, without a GPU."""

VOID = 255
"""The class, in a class map, of pixels that nobody annotated; they count in no loss and no metric."""


@dataclass(frozen=True)
class Instances:
    """The nuclei found in one image.

    Attributes:
        labels: Label image `(H, W)` int32; 0 is background, 1..N are the nuclei, without gaps.
        scores: `(N,)` float32 in [0, 1]; `scores[k - 1]` belongs to label k.
        measurements: One row per nucleus, in the order of the labels, if `nucseg.predict` was asked to measure;
            `above` and `by_score` leave them out.
    """

    labels: NDArray[np.int32]
    scores: NDArray[np.float32]
    measurements: "pd.DataFrame | None" = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def none(cls, shape: tuple[int, int]) -> Self:
        """Return the result for an image `(H, W)` in which nothing was found."""
        return cls(np.zeros(shape, np.int32), np.zeros(0, np.float32))

    @property
    def areas(self) -> NDArray[np.int64]:
        """Number of pixels of each nucleus, `(N,)` int64."""
        return np.bincount(self.labels.ravel(), minlength=len(self) + 1)[1:]

    def above(self, score_threshold: float) -> "Instances":
        """Return the nuclei with `score >= score_threshold`, renumbered in the same order.

        Where all stay, the arrays are the same, not copies.
        """
        return _kept(self, self.scores >= np.float32(score_threshold))

    def from_area(self, smallest: float) -> "Instances":
        """Return the nuclei of at least `smallest` pixels, renumbered in the same order; see `above`."""
        return _kept(self, self.areas >= smallest)

    def by_score(self) -> "Instances":
        """Return the same nuclei, numbered by decreasing score."""
        order = np.argsort(-self.scores, kind="stable")
        numbers = np.zeros(len(self) + 1, np.int32)
        numbers[order + 1] = np.arange(1, len(self) + 1)
        return Instances(numbers[self.labels], self.scores[order])


def _kept(found: Instances, keep: NDArray[np.bool_]) -> Instances:
    if keep.all():
        return Instances(found.labels, found.scores)
    numbers = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)]).astype(np.int32)
    return Instances(numbers[found.labels], found.scores[keep])


@dataclass(frozen=True)
class ClassPrediction:
    """The class of each pixel of one image.

    Attributes:
        classes: Class map `(H, W)` uint8.
        confidence: `(H, W)` uint8: the probability of that class, in steps of 1/255.
    """

    classes: NDArray[np.uint8]
    confidence: NDArray[np.uint8]


@dataclass(frozen=True)
class PatchScores:
    """What a classifier says of patches of one image.

    Attributes:
        shape: (rows, columns) of the image.
        places: `(N, 2)` int64, row and column of the centre of each patch.
        probabilities: `(N,)` float32, of class 1.
        classes: `(N,)` int64, the true class 0 or 1; -1 where the annotation does not say it.
        threshold: Probability from which on a patch is of class 1.
    """

    shape: tuple[int, int]
    places: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    classes: NDArray[np.int64]
    threshold: float

    def found(self) -> NDArray[np.int64]:
        """Return the places of class 1, `(K, 2)`, the surest first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return self.places[order[self.probabilities[order] >= np.float32(self.threshold)]]


@dataclass(frozen=True)
class Sample:
    """One annotated image: a row of the manifest `samples.csv`.

    Attributes:
        image_id: Unique within its dataset.
        dataset: Name of the dataset, such as `bbbc038`.
        split: `train`, `val` or `test`.
        modality: `fluorescence`, `histology` or `brightfield`.
        magnification: Magnification of the objective, or None if the dataset does not say.
        test_class: The dataset's own class of test images, or None.
        height: Rows in pixels.
        width: Columns in pixels.
        channels: 1 or 3, as stored.
        n_nuclei: Nuclei in the label image, or None if the truth is not a label image.
        median_diameter_px: Median over the nuclei of the diameter of the circle of equal area, or None without nuclei.
        image_path: The canonical image (TIFF, uint8 or uint16).
        label_path: The canonical label image (TIFF, uint16 or uint32), or None if the truth is not a label image.
        case: Patient, slide or field of view (near-duplicates) that several samples share, or None.
    """

    image_id: str
    dataset: str
    split: str
    modality: str
    magnification: float | None
    test_class: str | None
    height: int
    width: int
    channels: int
    n_nuclei: int | None
    median_diameter_px: float | None
    image_path: Path
    label_path: Path | None
    case: str | None = None

    @property
    def key(self) -> str:
        """`<dataset>/<image_id>`, unique over all datasets."""
        return f"{self.dataset}/{self.image_id}"

    def label_file(self) -> Path:
        """Return the label image of a sample that must have one.

        Raises:
            InputError: It has none.
        """
        if self.label_path is None:
            raise InputError(
                f"{self.key}: has no label image, which instance segmentation needs; choose other datasets."
            )
        return self.label_path
