"""The one way from an image to its nuclei."""

from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nucseg.core.checks import check_image
from nucseg.core.errors import ConfigError
from nucseg.core.types import Instances
from nucseg.images.geometry import resize_image, resize_labels, scaled_shape
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import Precision, use_precision
from nucseg.models.registry import resolve_model


class Predictor:
    """Applies a model's own preprocessing, predicts, and maps the answer back to the frame of the image.

    Args:
        bundle: The model.
        scale: Factor by which the preprocessed image is resized before the network sees it; for images whose nuclei
            are larger (below 1) or smaller (above 1) than those the model was trained on.
        precision: Of the network; holds for the whole process, see `use_precision`.

    Attributes:
        bundle: The model.
        scale: As given.
        precision: The one in effect.

    Raises:
        ConfigError: The scale is not above 0, or the precision cannot be had.
    """

    def __init__(self, bundle: ModelBundle, *, scale: float = 1.0, precision: Precision = "auto") -> None:
        if not 0 < scale < np.inf:
            raise ConfigError(f"scale: {scale} is not allowed; it must be a factor above 0 (1 changes nothing).")
        self.bundle = bundle
        self.scale = scale
        self.precision = use_precision(precision)
        self._preprocessor = bundle.preprocessor()

    @classmethod
    def load(cls, name_or_folder: str | Path, *, scale: float = 1.0, precision: Precision = "auto") -> Self:
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
            InputError: It is not an image.
        """
        check_image(image, name)
        prepared = self.network_input(image, magnification=magnification)
        found = self.bundle.segmenter.predict([prepared], score_threshold=score_threshold)[0]
        return _restored(found, (image.shape[0], image.shape[1]))

    def network_input(self, image: NDArray, *, magnification: float | None = None) -> NDArray[np.float32]:
        """Give what the network sees of an image: the array that the training feed cuts its patches from.

        Args:
            image: As in `predict`.
            magnification: As in `predict`.

        Returns:
            `(H', W', in_channels)` float32.
        """
        prepared = self._preprocessor.fit(image, magnification).image(image)
        return resize_image(prepared, scaled_shape(prepared.shape, self.scale))


def _restored(found: Instances, shape: tuple[int, int]) -> Instances:
    """Bring nuclei to another frame; one that loses all its pixels on the way is dropped."""
    if found.labels.shape == shape:
        return found
    labels = resize_labels(found.labels, shape)
    present = np.bincount(labels.ravel(), minlength=len(found) + 1)[1:] > 0
    numbers = np.concatenate([[0], np.cumsum(present)]).astype(np.int32)
    return Instances(numbers[labels], found.scores[present])
