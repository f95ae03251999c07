"""Patches of samples whose truth is points: with a point near the centre (class 1), or away from all (class 0)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.window import mirrored_window
from nucseg.core.errors import ConfigError, InputError
from nucseg.core.types import PatchScores, Precision, Sample
from nucseg.datasets.points import NEGATIVE, POSITIVE, find_negatives, places
from nucseg.images.channels import to_rgb
from nucseg.images.intensity import to_unit_float
from nucseg.images.io import read_image, read_labels
from nucseg.images.preprocessing import Preprocessor
from nucseg.metrics.patches.config import PatchEvaluationConfig
from nucseg.metrics.patches.evaluator import SMALLEST_FIELD, PatchEvaluator
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.models.protocols import PatchClassifier
from nucseg.training.cache import Cache
from nucseg.training.config import PointSamplingConfig, TrainingConfig

_MARGIN = 8
"""Pixels at least between a training patch's centre and the border, beyond which it is mirrored."""

_DARKEST = 5
_BATCH = 64


class MinedSampling(PointSamplingConfig):
    """The sampling of a second training: with the negatives that a first model took for class 1."""

    hard: dict[str, list[tuple[int, int]]] = Field({}, description="Rows and columns by the key of the sample.")


@dataclass(frozen=True)
class LoadedPoints:
    """What the cache holds of a sample.

    Attributes:
        image: `(H, W, 3)` uint8.
        positives: `(N, 2)` rows and columns.
        negatives: `(K, 2)`, for training: the annotated ones, then the darkest first.
        counted: `(M, 3)` row, column and class: what validation and evaluation count.
    """

    image: NDArray[np.uint8]
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]
    counted: NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.image.nbytes + self.positives.nbytes + self.negatives.nbytes + self.counted.nbytes


def load_points(sample: Sample, sampling: PointSamplingConfig, patch_size: int) -> LoadedPoints:
    """Read a sample and find its negatives.

    Raises:
        InputError: A file is missing or unreadable, or the image is no colour image of bytes.
    """
    image, points = to_rgb(read_image(sample.image_path)), read_labels(sample.label_file())
    if image.dtype != np.uint8:
        raise InputError(f"{sample.key}: is {image.dtype}; a patch classifier takes colour images of 8 bits a channel.")
    negatives = find_negatives(image, points, distance=sampling.distance, margin=_MARGIN)
    inside = find_negatives(
        image,
        points,
        distance=sampling.distance,
        margin=patch_size // 2,
        at_most=max(sampling.negatives_per_image, int((points == NEGATIVE).sum())),
    )
    positives = places(points, POSITIVE)
    counted = [np.column_stack([found, np.full(len(found), cls)]) for found, cls in ((positives, 1), (inside, 0))]
    return LoadedPoints(image, positives, negatives, np.concatenate(counted))


class PointPatches:
    """Patches round points and away from them, half and half; keeps what `nucseg.training.feed.Patches` says.

    Args:
        samples: Where the images and points images lie.
        augmenter: Changes each patch, or None.
        patch_size: Rows and columns of a patch.
        cache_mb: Memory limit for images in MiB.
        sampling: Which patches are drawn.

    Raises:
        InputError: No sample has a point, or none a place away from all.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        augmenter: Augmenter | None,
        patch_size: int,
        cache_mb: int,
        sampling: PointSamplingConfig,
    ) -> None:
        self._augmenter = augmenter
        self._patch_size = patch_size
        self._sampling = sampling
        self._cache = Cache(len(samples), cache_mb, lambda index: load_points(samples[index], sampling, patch_size))
        loaded = [self._cache.get(index) for index in range(len(samples))]
        self._positives = [(index, *place) for index, each in enumerate(loaded) for place in each.positives]
        self._with_negatives = [index for index, each in enumerate(loaded) if len(each.negatives)]
        self._counted = [index for index, each in enumerate(loaded) if len(each.counted)]
        hard = sampling.hard if isinstance(sampling, MinedSampling) else {}
        numbers = {sample.key: index for index, sample in enumerate(samples)}
        self._hard = [(numbers[key], *place) for key, found in hard.items() if key in numbers for place in found]
        if not self._positives or not self._with_negatives:
            raise InputError(
                f"the {len(samples)} images hold {len(self._positives)} annotated points and "
                f"{len(self._with_negatives)} of them a place away from all points; training needs both."
            )

    def __len__(self) -> int:
        """Return the number of samples that count in a validation."""
        return len(self._counted)

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], int]:
        """Draw one patch, as the sampling says, and its class."""
        if rng.random() < self._sampling.positive_share:
            index, *place = self._positives[rng.integers(len(self._positives))]
            return self._cut(index, np.array(place), rng, framed=True), 1
        if self._hard and rng.random() < self._sampling.hard_share:
            index, *place = self._hard[rng.integers(len(self._hard))]
            return self._cut(index, np.array(place), rng), 0
        index = self._with_negatives[rng.integers(len(self._with_negatives))]
        negatives = self._cache.get(index).negatives
        among = _DARKEST if rng.random() < self._sampling.dark_share else len(negatives)
        return self._cut(index, negatives[rng.integers(min(among, len(negatives)))], rng), 0

    def anywhere(self, index: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], int]:
        """Cut out one of the patches that count in the evaluation, not augmented, and its class."""
        loaded = self._cache.get(self._counted[index])
        truth = int(rng.random() < self._sampling.positive_share)
        among = loaded.counted[loaded.counted[:, 2] == truth]
        if not len(among):
            among = loaded.counted
        row, column, truth = among[rng.integers(len(among))]
        return to_unit_float(cut_patch(loaded.image, row, column, self._patch_size)), int(truth)

    def _cut(
        self, index: int, place: NDArray, rng: np.random.Generator, *, framed: bool = False
    ) -> NDArray[np.float32]:
        loaded = self._cache.get(index)
        image = loaded.image
        if framed:
            image, place = _framed(image, place, loaded.negatives, rng)
        center = place + rng.uniform(-1, 1, 2) * self._sampling.shift
        center = np.clip(np.round(center), 0, np.array(image.shape[:2]) - 1).astype(int)
        size = self._patch_size
        seen = int(np.ceil(size * (self._augmenter.reach if self._augmenter else 1.0)))
        nothing = np.zeros(image.shape[:2], np.uint8)
        window, nothing = mirrored_window(image, nothing, (int(center[0]), int(center[1])), seen)
        if self._augmenter is None:
            return to_unit_float(window)
        return self._augmenter(window, nothing, int(rng.integers(2**32)), size=(size, size))[0]


def make_patches(
    samples: Sequence[Sample],
    preprocessor: Preprocessor,
    augmenter: Augmenter | None,
    config: TrainingConfig,
    sampling: PointSamplingConfig,
    *,
    held_out: bool,
) -> PointPatches:
    """Create the source of patches of a training; see `nucseg.training.train.MakePatches`.

    A classifier takes bytes as they are stored, so nothing is preprocessed.
    """
    if preprocessor.transforms:
        names = ", ".join(transform.name for transform in preprocessor.transforms)
        raise ConfigError(
            f"patches.data_preprocessing.transforms: {names} cannot be used, since a patch classifier takes the pixels "
            "as they are stored; set it to an empty list."
        )
    return PointPatches(samples, augmenter, config.patch_size, config.cache_mb, sampling)


def cut_patch(image: NDArray, row: float, column: float, size: int) -> NDArray:
    """Cut a patch round a point out of an image, mirrored beyond its borders.

    Args:
        image: `(H, W, 3)`.
        row: Of the centre, in pixels.
        column: Of the centre.
        size: Rows and columns of the patch.
    """
    return mirrored_window(image, np.zeros(image.shape[:2], np.uint8), (int(row), int(column)), size)[0]


def _framed(image: NDArray, place: NDArray, negatives: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Cut an image such that a positive point is as near to its borders as one of its negatives is.

    Points lie in the middle of the crops that collections publish, and their negatives near the borders: what is
    mirrored there would tell the classes apart.
    """
    if not len(negatives):
        return image, place
    other = negatives[rng.integers(len(negatives))]
    if rng.random() < 0.5:
        other = np.array(image.shape[:2]) - 1 - other
    before = np.minimum(place, other)
    after = np.minimum(np.array(image.shape[:2]) - place, np.array(image.shape[:2]) - other)
    top, left = place - before
    bottom, right = place + after
    return image[top:bottom, left:right], before


def sampling_of(bundle: ModelBundle) -> PointSamplingConfig:
    """Return how the patches were chosen that a model was tuned on, so that it is measured on such patches."""
    return MinedSampling.model_validate(bundle.run.parameters.sampling or {})


def seen_patches(bundle: ModelBundle, samples: Sequence[Sample]) -> tuple[list[NDArray], list[int]]:
    """Cut the patches that count out of samples, not augmented.

    Returns:
        Patches `(patch_size, patch_size, 3)` uint8, and the class of each.
    """
    model, sampling = bundle.model, sampling_of(bundle)
    patches, classes = [], []
    for sample in samples:
        loaded = load_points(sample, sampling, model.patch_size)
        for row, column, truth in loaded.counted:
            patches.append(cut_patch(loaded.image, row, column, model.patch_size))
            classes.append(int(truth))
    return patches, classes


def mine_negatives(bundle: ModelBundle, samples: Sequence[Sample], sampling: PointSamplingConfig) -> pd.DataFrame:
    """Find the negatives of the train split that a model takes for class 1.

    Args:
        bundle: A first model, with its thresholds.
        samples: The manifest.
        sampling: How negatives are found; without a `hard_share` none are looked for.

    Returns:
        One row per negative, columns `key` (of the sample), `row`, `column` and `probability`, the surest first.
    """
    rows: list[dict[str, Any]] = []
    for sample in samples if sampling.hard_share else []:
        if sample.split == "train":
            loaded = load_points(sample, sampling, bundle.model.patch_size)
            probabilities = classify_at(bundle.model, loaded.image, loaded.negatives)
            for (row, column), probability in zip(loaded.negatives, probabilities, strict=True):
                if probability >= np.float32(bundle.model.thresholds["probability"]):
                    rows.append({"key": sample.key, "row": row, "column": column, "probability": probability})
    table = pd.DataFrame(rows, columns=["key", "row", "column", "probability"])
    return table.sort_values("probability", ascending=False, ignore_index=True)


def with_mined(sampling: PointSamplingConfig, mined: pd.DataFrame) -> MinedSampling:
    """Add to a sampling what `mine_negatives` found."""
    hard = {
        str(key): [(int(r), int(c)) for r, c in found[["row", "column"]].to_numpy()]
        for key, found in mined.groupby("key")
    }
    return MinedSampling(**sampling.model_dump(), hard=hard)


def classify_sample(model: PatchClassifier, sample: Sample, sampling: PointSamplingConfig) -> PatchScores:
    """Classify the patches of a sample that count and, in a field, those of all dark spots.

    Args:
        model: The classifier.
        sample: Where image and points image lie.
        sampling: How the patches that count are chosen.
    """
    loaded = load_points(sample, sampling, model.patch_size)
    found = [loaded.counted]
    if min(loaded.image.shape[:2]) >= SMALLEST_FIELD:
        nothing = np.zeros(loaded.image.shape[:2], np.int32)
        spots = find_negatives(loaded.image, nothing, distance=0, margin=_MARGIN)
        found.append(np.column_stack([spots, np.full(len(spots), -1)]))
    every = np.concatenate(found)
    return PatchScores(
        (loaded.image.shape[0], loaded.image.shape[1]),
        every[:, :2],
        classify_at(model, loaded.image, every[:, :2]),
        every[:, 2],
        model.thresholds["probability"],
    )


def classify_at(model: PatchClassifier, image: NDArray[np.uint8], centers: NDArray) -> NDArray[np.float32]:
    """Classify the patches round places of an image, a batch at a time.

    Args:
        model: The classifier.
        image: `(H, W, 3)`.
        centers: `(N, 2)` rows and columns.
    """
    found = [np.zeros(0, np.float32)]
    for first in range(0, len(centers), _BATCH):
        batch = [cut_patch(image, row, column, model.patch_size) for row, column in centers[first : first + _BATCH]]
        found.append(model.classify(np.stack(batch)))
    return np.concatenate(found)


def validation_scores(bundle: ModelBundle, samples: Sequence[Sample], precision: Precision) -> dict[str, Any]:
    """Evaluate a model on samples, as the evaluation does on the test split.

    Args:
        bundle: With its thresholds.
        samples: Samples of the val split.
        precision: Precision of the network.

    Returns:
        `overall` and, by name, `by_test_class`: the metrics of `metrics.json`.
    """
    use_precision(precision)
    evaluator, sampling = PatchEvaluator(bundle.name, PatchEvaluationConfig()), sampling_of(bundle)
    for sample in samples:
        points = places(read_labels(sample.label_file()))
        evaluator.update(sample, points, classify_sample(bundle.model, sample, sampling))
    result = evaluator.result()
    return {"overall": result["overall"], "by_test_class": result["by"]["test_class"]}
