"""Patches of samples whose truth is a label image: drawn, read lazily, cached, augmented, preprocessed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.window import mirrored_window, value_range
from nucseg.core.errors import InputError
from nucseg.core.types import Sample
from nucseg.images.geometry import resize_image, resize_labels
from nucseg.images.intensity import to_unit_float
from nucseg.images.io import read_image, read_labels
from nucseg.images.planes import STAINS
from nucseg.images.preprocessing import FittedPreprocessor, Preprocessor
from nucseg.images.stains import as_hematoxylin
from nucseg.masks.labels import diameters, visible_nuclei
from nucseg.models.sizes import TrainedSizes, mean_diameter
from nucseg.training.background import background_crop, made_up_background
from nucseg.training.cache import Cache
from nucseg.training.config import SamplingConfig, SemanticSamplingConfig, TrainingConfig

_LARGEST_SHRINKAGE = 8
_LARGEST_ENLARGEMENT = 4  # more would only show blur
_STAIN_SHARE = 0.3  # of the empty patches in colour: what is left of them once a stain is separated, as by --channel
_AS_THEY_ARE = SamplingConfig(foreground_probability=0, min_nucleus_pixels=1)


@dataclass(frozen=True)
class LoadedSample:
    """A sample in the cache.

    Attributes:
        image: `(H, W)` or `(H, W, 3)`, as stored.
        labels: `(H, W)` uint16, or int32 above 65,535 nuclei.
        centers: `(N, 2)` float32 row and column of the middle of each nucleus's box.
        fitted: The preprocessing with this image's statistics.
        value_range: Black and white of the image in unit range.
        diameter: Mean diameter of the nuclei in pixels, weighted by area; 0 without nuclei.
    """

    image: NDArray
    labels: NDArray
    centers: NDArray[np.float32]
    fitted: FittedPreprocessor
    value_range: tuple[float, float]
    diameter: float

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.image.nbytes + self.labels.nbytes + self.centers.nbytes


class PatchSource:
    """Patches of samples. Safe to use from several threads; each image is cached once, within `cache_mb`.

    Args:
        samples: The samples, with the paths of their images and label images.
        preprocessor: The model's preprocessing, fitted to each whole image.
        augmenter: Changes each patch, or None.
        patch_size: Rows and columns of a patch as the model sees it.
        cache_mb: Memory limit for images in MiB; the least recently used are read again when needed.
        sampling: Which patches are drawn; None: any place of any image, with its nuclei unchanged.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        preprocessor: Preprocessor,
        augmenter: Augmenter | None,
        patch_size: int,
        cache_mb: int,
        sampling: SamplingConfig | None = None,
    ) -> None:
        self._samples = samples
        self._preprocessor = preprocessor
        self._augmenter = augmenter
        self._patch_size = patch_size
        self._sampling = sampling or _AS_THEY_ARE
        self._probabilities = sampling_probabilities(samples, self._sampling)
        self._cache = Cache(len(samples), cache_mb, lambda index: _load(samples[index], preprocessor))

    def __len__(self) -> int:
        return len(self._samples)

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Draw one patch of one of the samples, according to the sampling.

        Args:
            rng: Random generator.

        Returns:
            As `patch` does.
        """
        index = int(rng.choice(len(self._probabilities), p=self._probabilities))
        if rng.random() < self._sampling.background_probability:
            return self.background(index, rng)
        return self.patch(index, rng, self._sampling.foreground_probability)

    def anywhere(self, index: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Cut one patch out of the sample at `index`, at any place; as `patch` does."""
        return self.patch(index, rng, 0.0)

    def load(self, index: int) -> LoadedSample:
        """Return the sample at `index`, from the cache or from its files.

        Raises:
            InputError: A file is missing or unreadable, or the shapes of image and label image differ.
        """
        return self._cache.get(index)

    def patch(
        self, index: int, rng: np.random.Generator, foreground_probability: float
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Cut one patch out of the sample at `index`.

        An image smaller than the patch (or than the context that rotating and shrinking need) is mirrored at its
        borders.

        Args:
            index: Place of the sample.
            rng: Random generator for the place of the patch and its augmentation.
            foreground_probability: Probability that the patch is placed on a nucleus.

        Returns:
            The model's input, `(patch_size, patch_size, in_channels)` float32, and its label image,
            `(patch_size, patch_size)` int32 without gaps.
        """
        loaded = self.load(index)
        size = int(np.ceil(self._patch_size / loaded.fitted.scale))
        zoom, largest_zoom, reach = self._draw_zoom(index, loaded, rng), 1.0, 1.0
        if self._augmenter:
            largest_zoom, reach = self._augmenter.largest_zoom, self._augmenter.reach
        center = _draw_center(loaded, size, zoom * largest_zoom, rng, foreground_probability)
        seen = int(np.ceil(size * reach))
        image, labels = mirrored_window(loaded.image, loaded.labels, center, max(round(seen / zoom), 1))
        if zoom != 1:
            image, labels = resize_image(to_unit_float(image), (seen, seen)), resize_labels(labels, (seen, seen))
        if self._augmenter:
            seed = int(rng.integers(2**32))
            image, labels = self._augmenter(image, labels, seed, size=(size, size), value_range=loaded.value_range)
        labels = visible_nuclei(labels, self._sampling.min_nucleus_pixels)
        inside = np.s_[: self._patch_size, : self._patch_size]
        return loaded.fitted.image(image)[inside], loaded.fitted.labels(labels)[inside]

    def _draw_zoom(self, index: int, loaded: LoadedSample, rng: np.random.Generator) -> float:
        """Draw the factor that resizes an image's nuclei to a random diameter, uniform over octaves, or small ones."""
        diameter, sampling = self._samples[index].median_diameter_px, self._sampling
        if not len(loaded.centers) or not diameter:
            return 1.0
        if sampling.diameters is None or (sampling.resized_share < 1 and rng.random() >= sampling.resized_share):
            sizes = TrainedSizes(enlarge=sampling.enlarge) if sampling.enlarge else None
            return sizes.enlargement(loaded.diameter * loaded.fitted.scale) if sizes else 1.0
        wanted = np.exp(rng.uniform(*np.log(sampling.diameters)))
        return float(np.clip(wanted / (diameter * loaded.fitted.scale), 1 / _LARGEST_SHRINKAGE, _LARGEST_ENLARGEMENT))

    def background(self, index: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Create a patch without nuclei, normalised by itself: cut out of the sample at `index` or generated.

        Args:
            index: Place of the sample.
            rng: Random generator for all choices.

        Returns:
            As `patch` does; no pixel has a label.
        """
        size = self._patch_size
        image = None
        if rng.random() < 0.5:
            loaded = self.load(index)
            image = background_crop(loaded.image, loaded.labels, rng, size)
        if image is None:
            image = made_up_background(rng, size)
        if image.ndim == 3 and rng.random() < _STAIN_SHARE:
            image = as_hematoxylin(image, STAINS[rng.integers(len(STAINS))])
        image = self._preprocessor.fit(image).image(image)
        missing = [(0, max(size - side, 0)) for side in image.shape[:2]]
        image = np.pad(image, [*missing, (0, 0)], mode="reflect")[:size, :size]
        return image, np.zeros((size, size), np.int32)


def make_patches(
    samples: Sequence[Sample],
    preprocessor: Preprocessor,
    augmenter: Augmenter | None,
    config: TrainingConfig,
    sampling: SamplingConfig,
    *,
    held_out: bool,
) -> PatchSource:
    """Create the source of patches of a training; see `nucseg.training.train.MakePatches`."""
    if held_out:  # each image is read once
        return PatchSource(samples, preprocessor, augmenter, config.patch_size, cache_mb=1)
    return PatchSource(samples, preprocessor, augmenter, config.patch_size, config.cache_mb, sampling)


def sampling_probabilities(
    samples: Sequence[Sample], config: SamplingConfig | SemanticSamplingConfig
) -> NDArray[np.float64]:
    """Compute the probability of each sample, by the weight of its modality and by its area.

    Returns:
        `(N,)` float64, summing to 1.
    """
    exponent = config.area_exponent if isinstance(config, SamplingConfig) else 0.0
    weights = np.array([sample.height * sample.width for sample in samples], np.float64) ** exponent
    if config.balance == "modality":
        by_modality = {str(name): weight for name, weight in config.modality_weights.items()}
        modalities = np.array([sample.modality for sample in samples])
        for name in set(modalities.tolist()):
            of_it = modalities == name
            weights[of_it] *= by_modality.get(name, 1.0) / weights[of_it].sum()
    return weights / weights.sum()


def _load(sample: Sample, preprocessor: Preprocessor) -> LoadedSample:
    image, labels = read_image(sample.image_path), read_labels(sample.label_file())
    if image.shape[:2] != labels.shape:
        raise InputError(
            f"{sample.key}: the image has shape {image.shape[:2]}, its label image {labels.shape}; "
            "they must be equal. Run the data_processing pipeline again."
        )
    boxes = [box for box in find_objects(labels) if box is not None]
    centers = np.array([[(side.start + side.stop) / 2 for side in box] for box in boxes], np.float32)
    return LoadedSample(
        image=image,
        labels=labels.astype(np.uint16) if labels.max() <= np.iinfo(np.uint16).max else labels,
        centers=centers.reshape(-1, 2),
        fitted=preprocessor.fit(image, magnification=sample.magnification),
        value_range=value_range(image),
        diameter=mean_diameter(diameters(labels)),
    )


def _draw_center(
    loaded: LoadedSample, size: int, zoom: float, rng: np.random.Generator, foreground_probability: float
) -> tuple[int, int]:
    """Draw the row and column of a patch's centre such that the patch, at its largest, is inside the image."""
    shape = np.array(loaded.labels.shape)
    margin = np.minimum(size / (2 * zoom), shape / 2)
    if len(loaded.centers) and rng.random() < foreground_probability:
        # Somewhere in the patch, not always in the middle of it.
        center = loaded.centers[rng.integers(len(loaded.centers))] + rng.uniform(-0.5, 0.5, 2) * size / zoom
    else:
        center = rng.uniform(margin, shape - margin)
    row, column = np.floor(np.clip(center, margin, shape - margin))
    return int(row), int(column)
