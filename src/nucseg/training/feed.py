"""The feed: batches of patches, prepared in threads beside the training step."""

from typing import Any

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nucseg.models.protocols import Model
from nucseg.training.config import TrainingConfig
from nucseg.training.held_out import Patches, held_out_patches

Item = tuple[NDArray, tuple[NDArray, ...]]
"""A model's input and its training targets, without batch axis."""


class PatchFeed:
    """Training items, each a function of the seed, the epoch and its place in the epoch alone.

    So a resumed training sees exactly what an uninterrupted one sees.

    Args:
        source: The patches of the training split, in their final size.
        model: Computes the targets.
        config: Length of an epoch, batch size, seed and threads.
    """

    def __init__(self, source: Patches, model: Model, config: TrainingConfig) -> None:
        self._source = source
        self._model = model
        self._config = config
        self.error: Exception | None = None
        """What went wrong in a thread; TensorFlow passes on the text only."""
        # The threads of the feed are the parallelism; OpenCV's own would compete with the training step.
        cv2.setNumThreads(1)

    def item(self, epoch: int, place: int) -> Item:
        """Compute the item at `place` (0 to steps_per_epoch x batch_size - 1) of `epoch`.

        Returns:
            `x` of `(patch_size, patch_size, in_channels)` float32, and the model's targets.
        """
        return self._model.targets(*self._source.draw(np.random.default_rng((self._config.seed, epoch, place))))

    def dataset(self, first_epoch: int) -> tf.data.Dataset:
        """Return the batches of all epochs from `first_epoch` on, in order, without a pause between epochs.

        Returns:
            A dataset of `(x, (y, ...))` with a leading batch axis.
        """
        config = self._config
        per_epoch = config.steps_per_epoch * config.batch_size
        example = _flat(self.item(first_epoch, 0))

        def produce(number: np.int64) -> list[NDArray]:
            try:
                return _flat(self.item(*divmod(int(number), per_epoch)))
            except Exception as error:
                self.error = error
                raise

        def as_tensors(number: tf.Tensor) -> Any:
            x, *targets = tf.numpy_function(produce, [number], [array.dtype for array in example], stateful=False)
            for tensor, array in zip([x, *targets], example, strict=True):
                tensor.set_shape(array.shape)
            return x, tuple(targets)

        options = tf.data.Options()
        # Threads of the feed's own: in TensorFlow's shared pool they would hold up the operations of the step.
        options.threading.private_threadpool_size = config.workers
        options.autotune.enabled = False
        return (
            tf.data.Dataset.range(first_epoch * per_epoch, config.epochs * per_epoch)
            .map(as_tensors, num_parallel_calls=config.workers, deterministic=True)
            .batch(config.batch_size, drop_remainder=True)
            .prefetch(4)
            .with_options(options)
        )


def validation_arrays(source: Patches, model: Model, config: TrainingConfig) -> tuple[NDArray, tuple[NDArray, ...]]:
    """Compute the fixed items of the validation loss, from patches anywhere in the images, taken in turn.

    Args:
        source: The patches of the validation split, not augmented.
        model: Computes the targets.
        config: Number of patches, and seed.

    Returns:
        `x` of `(validation_patches, patch_size, patch_size, in_channels)`, and the targets.
    """
    items = [_flat(model.targets(*patch)) for patch in held_out_patches(source, config)]
    x, *targets = (np.stack(arrays) for arrays in zip(*items, strict=True))
    return x, tuple(targets)


def _flat(item: Item) -> list[NDArray]:
    x, targets = item
    return [np.ascontiguousarray(array) for array in (x, *targets)]
