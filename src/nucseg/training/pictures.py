"""What TensorBoard shows of a few validation images after each epoch: how good the model is, and a picture."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from skimage.segmentation import mark_boundaries

from nucseg.images.geometry import resize_labels
from nucseg.models.tuning import ap_mean

SIDE = 256
"""Pixels of an image that are shown; a model at its beginning proposes too much in a larger one."""

_TRUE, _FOUND = (0.34, 0.71, 0.91), (0.9, 0.62, 0.0)  # sky blue and orange

View = Callable[[Any, Sequence[NDArray], Sequence[Any]], tuple[dict[str, float], NDArray[np.float64]]]
"""From a model, images as it sees them, and their truth to scores by name and a picture `(H, W, 3)` in unit range."""


class EpochPicture(keras.callbacks.Callback):
    """Writes scores and a picture of validation images into TensorBoard's folder; it changes nothing in the training.

    Args:
        folder: The folder of the training's event files.
        model: The model that is trained.
        images: Images as the model sees them, `(H, W, C)`; the middle of a large one is taken.
        truths: What each shows: a label image `(H, W)`.
        view: Of the model's task.
    """

    def __init__(
        self, folder: Path, model: Any, images: Sequence[NDArray], truths: Sequence[NDArray], view: View
    ) -> None:
        super().__init__()
        self._folder = folder / "validation"
        self._seen_model = model
        self._images = [_middle(image, model.stride) for image in images]
        resized = [resize_labels(truth, image.shape[:2]) for image, truth in zip(images, truths, strict=True)]
        self._truths = [_middle(truth, model.stride) for truth in resized]
        self._view = view

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Open the file."""
        self._writer = tf.summary.create_file_writer(str(self._folder))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Write what the model finds now."""
        scores, picture = self._view(self._seen_model, self._images, self._truths)
        with self._writer.as_default(step=epoch):
            for name, score in scores.items():
                tf.summary.scalar(name, score)
            tf.summary.image("first validation image", picture[None])
        self._writer.flush()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Close the file."""
        self._writer.close()


def view_nuclei(
    model: Any, images: Sequence[NDArray[np.float32]], truths: Sequence[NDArray[np.integer]]
) -> tuple[dict[str, float], NDArray[np.float64]]:
    """Find nuclei with the model's current thresholds, which are tuned only after the training.

    Returns:
        `ap_mean_50_90`, and the first image with the true outlines in blue and those found in orange.
    """
    proposals = [model.propose([image], model.thresholds)[0] for image in images]
    found = [model.decode(each, truth.shape, model.thresholds) for each, truth in zip(proposals, truths, strict=True)]
    low, high = images[0].min(), images[0].max()
    shown = np.broadcast_to((images[0] - low) / max(high - low, 1e-6), (*truths[0].shape, 3))
    outlined = mark_boundaries(shown, truths[0], color=_TRUE, mode="inner")
    outlined = mark_boundaries(outlined, found[0].labels, color=_FOUND, mode="inner")
    return {"ap_mean_50_90": ap_mean(truths, found)}, outlined


def _middle(image: NDArray, stride: int) -> NDArray:
    """Return the middle of an image, at most `SIDE` pixels a side, from multiples of the stride on."""
    places = [max(0, side - SIDE) // 2 // stride * stride for side in image.shape[:2]]
    return image[tuple(slice(place, place + SIDE) for place in places)]
