"""Patches of samples whose truth is a class map, and the scores of a model on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.window import mirrored_window, value_range
from nucseg.core.errors import InputError
from nucseg.core.types import VOID, Precision, Sample
from nucseg.images.io import read_image, read_labels
from nucseg.images.preprocessing import FittedPreprocessor, Preprocessor
from nucseg.inference.options import PredictOptions
from nucseg.inference.semantic.predictor import SemanticPredictor
from nucseg.metrics.semantic.config import SemanticEvaluationConfig
from nucseg.metrics.semantic.evaluator import SemanticEvaluator
from nucseg.models.bundle import ModelBundle
from nucseg.training.cache import Cache
from nucseg.training.config import SemanticSamplingConfig, TrainingConfig
from nucseg.training.patches import sampling_probabilities

_ANYWHERE = SemanticSamplingConfig(class_probability=0)


@dataclass(frozen=True)
class LoadedClasses:
    """A sample in the cache.

    Attributes:
        image: `(H, W)` or `(H, W, 3)`, as stored.
        classes: `(H, W)` uint8.
        shown: The classes of the image other than 0 and void.
        partly_void: Whether pixels are void.
        fitted: The preprocessing with this image's statistics.
        value_range: Black and white of the image in unit range.
    """

    image: NDArray
    classes: NDArray[np.uint8]
    shown: NDArray[np.uint8]
    partly_void: bool
    fitted: FittedPreprocessor
    value_range: tuple[float, float]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.image.nbytes + self.classes.nbytes


class ClassPatches:
    """Patches of samples. Safe to use from several threads; each image is cached once, within `cache_mb`.

    Args:
        samples: The samples, with the paths of their images and class maps.
        preprocessor: The model's preprocessing, fitted to each whole image.
        augmenter: Changes each patch, or None.
        patch_size: Rows and columns of a patch as the model sees it.
        cache_mb: Memory limit for images in MiB.
        sampling: Which patches are drawn.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        preprocessor: Preprocessor,
        augmenter: Augmenter | None,
        patch_size: int,
        cache_mb: int,
        sampling: SemanticSamplingConfig,
    ) -> None:
        self._augmenter = augmenter
        self._patch_size = patch_size
        self._sampling = sampling
        self._probabilities = sampling_probabilities(samples, sampling)
        self._cache = Cache(len(samples), cache_mb, lambda index: _load(samples[index], preprocessor))

    def __len__(self) -> int:
        return len(self._probabilities)

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Draw a patch of one of the samples, according to the sampling; returns what `anywhere` does."""
        index = int(rng.choice(len(self), p=self._probabilities))
        return self._patch(index, rng, self._sampling.class_probability)

    def anywhere(self, index: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Cut a patch out of the sample at `index`, at any place where something is not void.

        Returns:
            The model's input, `(patch_size, patch_size, in_channels)` float32, and its class map,
            `(patch_size, patch_size)` int32. An image smaller than the patch is mirrored at its borders.
        """
        return self._patch(index, rng, 0.0)

    def _patch(
        self, index: int, rng: np.random.Generator, class_probability: float
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        loaded = self._cache.get(index)
        size = int(np.ceil(self._patch_size / loaded.fitted.scale))
        center = _center(loaded, size, rng, class_probability)
        if self._augmenter is None:
            image, classes = mirrored_window(loaded.image, loaded.classes, center, size)
        else:
            seen = int(np.ceil(size * self._augmenter.reach))
            image, classes = mirrored_window(loaded.image, loaded.classes, center, seen)
            seed = int(rng.integers(2**32))
            image, classes = self._augmenter(image, classes, seed, size=(size, size), value_range=loaded.value_range)
        inside = np.s_[: self._patch_size, : self._patch_size]
        return loaded.fitted.image(image)[inside], loaded.fitted.labels(classes)[inside]


def make_patches(
    samples: Sequence[Sample],
    preprocessor: Preprocessor,
    augmenter: Augmenter | None,
    config: TrainingConfig,
    sampling: SemanticSamplingConfig,
    *,
    held_out: bool,
) -> ClassPatches:
    """Create the source of patches of a training; see `nucseg.training.train.MakePatches`."""
    if held_out:  # each image is read once
        return ClassPatches(samples, preprocessor, augmenter, config.patch_size, 1, _ANYWHERE)
    return ClassPatches(samples, preprocessor, augmenter, config.patch_size, config.cache_mb, sampling)


def seen_class_maps(bundle: ModelBundle, samples: Sequence[Sample]) -> tuple[list[NDArray], list[Any]]:
    """Return nothing: a semantic segmenter has no thresholds to choose."""
    return [], []


def validation_scores(bundle: ModelBundle, samples: Sequence[Sample], precision: Precision) -> dict[str, Any]:
    """Evaluate a model on samples, as the evaluation does on the test split.

    Args:
        bundle: The model.
        samples: Samples of the val split.
        precision: Precision of the network.

    Returns:
        `overall` and, by name of the modality, `by_modality`: the metrics of `metrics.json`.

    Raises:
        InputError: A file is missing or unreadable.
    """
    options = PredictOptions(precision=precision, scale=1)
    predictor = SemanticPredictor(bundle, options)
    evaluator = SemanticEvaluator(bundle.name, bundle.model.classes, SemanticEvaluationConfig(bootstrap=0))
    for sample in samples:
        own = options.changed(magnification=sample.magnification)
        found = predictor.predict(read_image(sample.image_path), own, name=sample.key)
        evaluator.update(sample, read_labels(sample.label_file()), found)
    result = evaluator.result()
    return {"overall": result["overall"], "by_modality": result["by"]["modality"]}


def _load(sample: Sample, preprocessor: Preprocessor) -> LoadedClasses:
    image, classes = read_image(sample.image_path), read_labels(sample.label_file())
    if image.shape[:2] != classes.shape:
        raise InputError(
            f"{sample.key}: the image has shape {image.shape[:2]}, its class map {classes.shape}; "
            "they must be equal. Run the data_processing pipeline again."
        )
    found = np.unique(classes)
    return LoadedClasses(
        image=image,
        classes=classes.astype(np.uint8),
        shown=np.setdiff1d(found, [0, VOID]).astype(np.uint8),
        partly_void=VOID in found,
        fitted=preprocessor.fit(image, magnification=sample.magnification),
        value_range=value_range(image),
    )


def _center(loaded: LoadedClasses, size: int, rng: np.random.Generator, class_probability: float) -> tuple[int, int]:
    """Draw the row and column of a patch's centre such that the patch is inside the image, where it fits.

    Where an image is partly void, the patch shows a pixel that is not: of an image with a few outlined areas most
    patches would be void throughout, and a validation loss of such patches says nothing.
    """
    shape = np.array(loaded.classes.shape)
    margin = np.minimum(size / 2, shape / 2)
    wanted = None
    if len(loaded.shown) and rng.random() < class_probability:
        wanted = loaded.classes == rng.choice(loaded.shown)
    elif loaded.partly_void:
        wanted = loaded.classes != VOID
    if wanted is not None:
        pixels = np.flatnonzero(wanted)
        pixel = np.unravel_index(rng.choice(pixels), loaded.classes.shape)
        # Somewhere in the patch, not always in the middle of it.
        center = np.add(pixel, 1) + rng.uniform(-0.5, 0.5, 2) * size
    else:
        center = rng.uniform(margin, shape - margin)
    row, column = np.floor(np.clip(center, margin, shape - margin))
    return int(row), int(column)
