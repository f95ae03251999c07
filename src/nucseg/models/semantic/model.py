"""A network that assigns every pixel to a class: all but its layers, which U-Net and DeepLab bring."""

import logging
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, Literal, Protocol, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from pydantic import BaseModel

from nucseg.core.errors import ConfigError, InputError
from nucseg.core.types import VOID
from nucseg.core.window import Window
from nucseg.models.files import read_files, write_files
from nucseg.models.semantic.loss import CrossEntropyAndJaccard

logger = logging.getLogger(__name__)


class SemanticConfig(Protocol):
    """What the configurations of all these models hold."""

    @property
    def in_channels(self) -> Literal[1, 3]:
        """Channels of the network's input."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, from 0 on."""

    @property
    def jaccard_weight(self) -> float:
        """Weight of the soft Jaccard loss."""

    def architecture(self) -> dict[str, Any]:
        """Return what a model folder must store to rebuild the network."""


class PixelClassifier:
    """A network with its weights; see `nucseg.models.protocols.SemanticSegmenter`. Nothing of it is tuned.

    Args:
        config: The parameters.
        network: From images `(N, h, w, in_channels)` to logits `(N, h, w, classes)`.
        stride: Pixels; sides and origins of tiles are multiples of it.
        halo: Pixels up to which a pixel changes another's logits.
        max_side: Pixels a side of the largest image that is run at once.
        whole_images: Whether every pixel depends on the whole image.
    """

    TITLE: ClassVar[str]
    """Name of the kind of model, for errors."""
    CONFIG: ClassVar[type[BaseModel]]
    """The class of `config`."""

    def __init__(
        self,
        config: SemanticConfig,
        network: keras.Model,
        *,
        stride: int,
        halo: int,
        max_side: int,
        whole_images: bool = False,
    ) -> None:
        self.config = config
        self.in_channels, self.classes = config.in_channels, config.classes
        self.stride, self.halo, self.max_side, self.whole_images = stride, halo, max_side, whole_images
        self.thresholds: dict[str, float] = {}
        self.keras_model = network
        # The same layers, never compiled: saving it leaves the optimizer out.
        self.network = keras.Model(network.inputs, network.outputs)
        self._run = tf.function(
            lambda images: tf.nn.softmax(tf.cast(self.network([images], training=False), tf.float32)),
            input_signature=[tf.TensorSpec((None, None, None, config.in_channels), tf.float32)],
            autograph=False,
        )
        self._network_is_free = Lock()

    def probabilities(
        self, images: Sequence[NDArray[np.float32]], cores: Sequence[Window] | None = None
    ) -> list[NDArray[np.float32]]:
        """Compute the probability of each class in each pixel; may be called by several threads at once.

        Args:
            images: Each `(H, W, in_channels)` float32, preprocessed.
            cores: The requested window of each image; None: the whole image.

        Returns:
            Of each image `(h, w, classes)` float32, the size of its window.
        """
        windows = [Window.whole(image.shape) for image in images] if cores is None else cores
        found = []
        for image, window in zip(images, windows, strict=True):
            missing = [(0, -side % self.stride) for side in image.shape[:2]]
            # An image of a single row can only be repeated.
            padded = np.pad(image, [*missing, (0, 0)], mode="symmetric") if np.any(missing) else image
            with self._network_is_free:
                found.append(self._run(tf.constant(padded[None]))[0].numpy()[window.slices])
        return found

    def targets(
        self, image: NDArray[np.float32], truth: NDArray
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], ...]]:
        """Return the image and its class map `(h, w, 1)`; see `Model.targets`.

        Raises:
            InputError: The class map has a class that the model has not.
        """
        unknown = truth[(truth >= len(self.classes)) & (truth != VOID)]
        if unknown.size:
            raise InputError(
                f"a class map has the class {unknown.max()}, but the model has {len(self.classes)} "
                f"(0 to {len(self.classes) - 1}: {', '.join(self.classes)}; {VOID} is void). Name all classes of the "
                "data in architecture.classes."
            )
        return image, (truth[..., None].astype(np.float32),)

    def compile(self, optimizer: keras.Optimizer) -> None:
        """Compile `keras_model` with cross-entropy and soft Jaccard."""
        self.keras_model.compile(optimizer, loss=CrossEntropyAndJaccard(self.config.jaccard_weight))

    def tune(self, images: Sequence[NDArray[np.float32]], truths: Sequence[NDArray]) -> dict[str, float]:
        """Return no thresholds: the most probable class of a pixel is its class."""
        return {}

    def save(self, folder: Path) -> None:
        """Write the model into an existing folder; see `nucseg.models.files`."""
        write_files(folder, self.config.architecture(), self.thresholds, self.network)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: A file is missing, damaged or of another kind.
        """
        return read_files(folder, cls.TITLE, cls.CONFIG, cls, lambda model: model.network)


def take_weights(
    source: PixelClassifier,
    model: PixelClassifier,
    shaping: Sequence[str],
    *,
    section: str,
    folder: str,
    fine_tune: bool,
) -> None:
    """Copy the weights of an earlier model; where the classes differ, all but those of the layer `logits`.

    Args:
        source: The earlier model.
        model: The model; it is modified.
        shaping: The parameters that shape the network, which must be equal.
        section: Section of the parameters, for errors.
        folder: The earlier model's folder, for errors.
        fine_tune: Whether the model is trained further.

    Raises:
        ConfigError: The networks differ, or the classes of a model that is used as it is.
    """
    for name in shaping:
        theirs, wanted = getattr(source.config, name), getattr(model.config, name)
        if theirs != wanted:
            raise ConfigError(f"{section}.{name} is {wanted!r}, but {folder} has {theirs!r}; the two must be equal.")
    if source.classes != model.classes and not fine_tune:
        raise ConfigError(
            f"{section}.classes: {folder}, used as it is, has the classes {', '.join(source.classes)}; name these, or "
            "set fine_tune to true."
        )
    if source.classes != model.classes:
        logger.warning(
            "%s.classes: %s has the classes %s, not %s: its last layer starts from random weights.",
            section,
            folder,
            ", ".join(source.classes),
            ", ".join(model.classes),
        )
    for layer, other in zip(model.network.layers, source.network.layers, strict=True):
        if layer.name != "logits" or source.classes == model.classes:
            layer.set_weights(other.get_weights())
