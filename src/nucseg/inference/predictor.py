"""The one way from an image to its nuclei."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import ConfigError
from nucseg.core.types import Instances, Precision
from nucseg.core.window import Window
from nucseg.images.geometry import resize_image, resize_labels, scaled_shape
from nucseg.images.preprocessing import FittedPreprocessor
from nucseg.images.source import ImageSource, array_source, sample_windows
from nucseg.inference.scale import estimate_scale
from nucseg.masks.labels import make_whole
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.models.registry import resolve_model

Scale = float | Literal["auto"]


class Predictor:
    """Applies a model's own preprocessing, predicts, and maps the answer back to the frame of the image.

    Args:
        bundle: The model.
        scale: Factor by which the preprocessed image is resized before the network sees it: below 1 for nuclei that
            are larger than those the model was trained on, above 1 for smaller ones. `auto` finds it for each image,
            see `estimate_scale`.
        precision: Number format of the network, for the whole process; see `use_precision`.

    Attributes:
        bundle: The model.
        scale: As given.
        precision: The one in effect.

    Raises:
        ConfigError: The scale is not above 0, or the precision cannot be had.
    """

    def __init__(self, bundle: ModelBundle, *, scale: Scale = "auto", precision: Precision = "auto") -> None:
        _check_scale(scale)
        self.bundle = bundle
        self.scale = scale
        self.precision = use_precision(precision)
        self._preprocessor = bundle.preprocessor()

    @classmethod
    def load(cls, name_or_folder: str | Path, *, scale: Scale = "auto", precision: Precision = "auto") -> Self:
        """Load a model by its name or folder, as `resolve_model` finds it.

        Raises:
            ModelError: There is no such model, or it is not whole.
        """
        return cls(ModelBundle.load(resolve_model(name_or_folder)), scale=scale, precision=precision)

    @property
    def score_threshold(self) -> float:
        """The model's own score threshold, tuned on validation images."""
        return self.bundle.segmenter.thresholds["score"]

    def predict(
        self,
        image: NDArray,
        *,
        magnification: float | None = None,
        score_threshold: float | None = None,
        name: str = "image",
    ) -> Instances:
        """Find the nuclei of one image.

        `predict(image, score_threshold=low).above(high)` is what `predict(image, score_threshold=high)` gives.

        Args:
            image: `(H, W)` or `(H, W, C)` with C of 1, 3 or 4, any integer, boolean or float dtype; as stored, not
                normalised.
            magnification: Of the objective, where known; only a model that rescales to one looks at it.
            score_threshold: The lowest score to keep; None takes the model's own.
            name: What to call the image in an error.

        Returns:
            The nuclei in the frame of `image`, in the order of falling score.

        Raises:
            InputError: It is not an image, or shows several stains in colour.
        """
        source = array_source(image, name)
        fitted = self._preprocessor.fit_source(source, magnification)
        scale, found = self.scale_for(source, fitted, score_threshold=score_threshold)
        if found is None:
            prepared = fitted.image(fitted.filled(source).read(Window.whole(source.shape)))
            seen = resize_image(prepared, scaled_shape(prepared.shape, scale))
            found = self._found([seen], score_threshold)[0]
        return self.answer(found, (image.shape[0], image.shape[1]), score_threshold)

    def network_input(self, image: NDArray, *, magnification: float | None = None) -> NDArray[np.float32]:
        """Return what the network sees of an image at scale 1: the array that the training feed cuts its patches from.

        Args:
            image: As in `predict`.
            magnification: As in `predict`.

        Returns:
            `(H', W', in_channels)` float32.
        """
        source = array_source(image)
        fitted = self._preprocessor.fit_source(source, magnification)
        return fitted.image(fitted.filled(source).read(Window.whole(source.shape)))

    def scale_for(
        self,
        source: ImageSource,
        fitted: FittedPreprocessor,
        scale: Scale | None = None,
        score_threshold: float | None = None,
    ) -> tuple[float, Instances | None]:
        """Return the scale at which `predict` predicts an image; where it is to be found, a few windows are predicted.

        Args:
            source: The image.
            fitted: The model's preprocessing with the image's statistics.
            scale: Instead of the predictor's.
            score_threshold: As in `predict`.

        Returns:
            The scale; and what the network found in the image at that scale, in its frame, if one window was all of it.

        Raises:
            ConfigError: The scale is not above 0.
        """
        scale = _check_scale(self.scale if scale is None else scale)
        if scale != "auto":
            return scale, None
        windows = list(sample_windows(fitted.filled(source)))
        parts = [fitted.image(window) for window in windows]
        is_whole = len(windows) == 1 and windows[0].shape == source.shape
        lowest = score_threshold if is_whole else None  # the scale needs no weaker nuclei, the answer may

        @cache
        def find(scale: float) -> list[Instances]:
            return self._found([resize_image(part, scaled_shape(part.shape, scale)) for part in parts], lowest)

        def strong(scale: float) -> list[Instances]:
            return [found.above(self.score_threshold) for found in find(scale)]

        chosen = estimate_scale(strong, min(min(part.shape[:2]) for part in parts))
        return chosen, find(chosen)[0] if is_whole else None

    def answer(self, found: Instances, shape: tuple[int, int], score_threshold: float | None = None) -> Instances:
        """Return what the network found in a whole image, such as the second value of `scale_for`, as `predict` does.

        Args:
            found: In the network's frame.
            shape: (rows, columns) of the image.
            score_threshold: As in `predict`.
        """
        return _restored(found.above(self.score_threshold if score_threshold is None else score_threshold), shape)

    def _found(self, seen: Sequence[NDArray[np.float32]], score_threshold: float | None) -> list[Instances]:
        own = self.score_threshold
        return self.bundle.segmenter.predict(
            seen, score_threshold=own if score_threshold is None else min(score_threshold, own)
        )


def _check_scale(scale: Scale) -> Scale:
    if scale != "auto" and not 0 < scale < np.inf:
        raise ConfigError(f"scale: {scale} is not allowed; it must be `auto` or a factor above 0 (1 changes nothing).")
    return scale


def _restored(found: Instances, shape: tuple[int, int]) -> Instances:
    """Resize nuclei to another frame; one that loses all its pixels on the way is dropped."""
    if found.labels.shape == shape:
        return found
    labels = make_whole(resize_labels(found.labels, shape))
    present = np.bincount(labels.ravel(), minlength=len(found) + 1)[1:] > 0
    numbers = np.concatenate([[0], np.cumsum(present)]).astype(np.int32)
    return Instances(numbers[labels], found.scores[present])
