"""A patch classifier: network, temperature and threshold."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import expit

from nucseg.core.errors import InputError
from nucseg.models.files import read_files, write_files
from nucseg.models.patch_classifier.calibration import best_threshold, fit_temperature
from nucseg.models.patch_classifier.config import PatchClassifierConfig
from nucseg.models.patch_classifier.network import build_network

_BATCH = 64


class PatchNetwork:
    """A classifier with weights, temperature and threshold.

    `thresholds` holds `probability`, from which a patch is of class 1, and `temperature`, which divides the logits so
    that probabilities match frequencies (Guo et al. 2017, https://arxiv.org/abs/1706.04599).

    Args:
        config: The architecture; `pretrained` is ignored, see `nucseg.models.patch_classifier.pretrained`.
    """

    stride = 1

    def __init__(self, config: PatchClassifierConfig) -> None:
        self.config = config
        self.in_channels = config.in_channels
        self.patch_size, self.pixel_size, self.classes = config.patch_size, config.pixel_size, config.classes
        self.thresholds = {"probability": 0.5, "temperature": 1.0}
        self.keras_model = build_network(config)
        # The same layers, never compiled: saving it leaves the optimizer out.
        self.network = keras.Model(self.keras_model.inputs, self.keras_model.outputs)
        shape = (None, config.patch_size, config.patch_size, 3)
        self._run = tf.function(self.mean_logits, input_signature=[tf.TensorSpec(shape, tf.uint8)], autograph=False)
        self._network_is_free = Lock()

    def classify(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute the calibrated probability of class 1 of each patch; may be called by several threads at once.

        Args:
            patches: `(N, patch_size, patch_size, 3)` uint8, RGB, at `pixel_size` micrometres per pixel.

        Returns:
            `(N,)` float32.

        Raises:
            InputError: The patches are of another shape or dtype.
        """
        return expit(self.logits(patches) / np.float32(self.thresholds["temperature"])).astype(np.float32)

    def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute the logits of patches, before the temperature is applied; arguments as `classify`."""
        wanted = (self.patch_size, self.patch_size, 3)
        if patches.shape[1:] != wanted or patches.dtype != np.uint8:
            raise InputError(
                f"patches of shape {patches.shape[1:]} and type {patches.dtype} cannot be classified; they must be "
                f"{self.patch_size} x {self.patch_size} pixels of 3 bytes (red, green, blue)."
            )
        logits = np.empty(len(patches), np.float32)
        for first in range(0, len(patches), _BATCH):
            batch = tf.constant(patches[first : first + _BATCH])
            with self._network_is_free:
                logits[first : first + _BATCH] = self._run(batch).numpy()
        return logits

    def mean_logits(self, patches: tf.Tensor) -> tf.Tensor:
        """Compute the logits of patches, averaged over the views, as a part of a graph; arguments as `classify`."""
        images = tf.cast(patches, tf.float32) / 255
        seen = [images]
        if self.config.views > 1:
            seen += [images[:, ::-1], images[:, :, ::-1], images[:, ::-1, ::-1]]
        if self.config.views > 4:
            seen += [tf.transpose(view, (0, 2, 1, 3)) for view in seen]
        outputs = self.network(tf.concat(seen, 0), training=False)
        return tf.reduce_mean(tf.reshape(tf.cast(outputs, tf.float32), (len(seen), -1)), 0)

    def targets(
        self, image: NDArray[np.float32], truth: int
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], ...]]:
        """Return the patch, and its class `(1,)`; see `Model.targets`."""
        return image, (np.array([truth], np.float32),)

    def compile(self, optimizer: keras.Optimizer) -> None:
        """Compile `keras_model` with cross-entropy."""
        self.keras_model.compile(optimizer, loss=keras.losses.BinaryCrossentropy(from_logits=True))

    def tune(self, images: Sequence[NDArray[np.uint8]], truths: Sequence[int]) -> dict[str, float]:
        """Choose the temperature by the likelihood, then the threshold by F1.

        Args:
            images: Each `(patch_size, patch_size, 3)` uint8, RGB: validation patches only, as many of each class as the
                probabilities are to be calibrated for.
            truths: The class of each, 0 or 1.

        Returns:
            `temperature` and `probability`.
        """
        logits, classes = self.logits(np.stack(images)), np.asarray(truths)
        temperature = fit_temperature(logits, classes)
        probabilities = expit(logits / np.float32(temperature))
        return {"probability": best_threshold(probabilities, classes), "temperature": temperature}

    def save(self, folder: Path) -> None:
        """Write the model into an existing folder; see `nucseg.models.files`."""
        write_files(folder, self.config.architecture(), self.thresholds, self.network)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: A file is missing, damaged or of another kind.
        """
        return read_files(folder, "patch classifier", PatchClassifierConfig, cls, lambda model: model.network)
