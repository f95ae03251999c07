"""The feed: batches of patches, prepared in threads beside the training step."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nucseg.augment.augmenter import Augmenter
from nucseg.core.types import Sample
from nucseg.images.preprocessing import Preprocessor
from nucseg.models.protocols import InstanceSegmenter
from nucseg.training.config import TrainingConfig
from nucseg.training.patches import PatchSource

Item = tuple[NDArray, tuple[NDArray, ...]]
"""A model's input and its training targets, without batch axis."""


class PatchFeed:
    """Training items, each a function of the seed, the epoch and its place in the epoch alone.

    So a training that goes on after a kill sees exactly what an unbroken one sees.

    Args:
        samples: The training split.
        segmenter: Makes the targets.
        preprocessor: The model's preprocessing.
        augmenter: Changes each patch, or None.
        config: Patch and batch sizes, sampling, seed and threads.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        segmenter: InstanceSegmenter,
        preprocessor: Preprocessor,
        augmenter: Augmenter | None,
        config: TrainingConfig,
    ) -> None:
        self._source = PatchSource(
            samples, preprocessor, augmenter, config.patch_size, config.cache_mb, config.diameters
        )
        self._probabilities = sampling_probabilities(samples, config)
        self._segmenter = segmenter
        self._config = config
        self.error: Exception | None = None
        """What went wrong in a thread; TensorFlow passes on the text only."""
        # The threads of the feed are the parallelism; OpenCV's own would compete with the training step.
        cv2.setNumThreads(1)

    def item(self, epoch: int, place: int) -> Item:
        """Make the item at `place` (0 to steps_per_epoch x batch_size - 1) of `epoch`.

        Returns:
            `x` of `(patch_size, patch_size, in_channels)` float32, and the targets as the segmenter makes them.
        """
        rng = np.random.default_rng((self._config.seed, epoch, place))
        index = int(rng.choice(len(self._probabilities), p=self._probabilities))
        if rng.random() < self._config.background_probability:
            image, labels = self._source.background(index, rng)
        else:
            image, labels = self._source.patch(index, rng, self._config.foreground_probability)
        return self._segmenter.targets(image, labels)

    def dataset(self, first_epoch: int) -> tf.data.Dataset:
        """Give the batches of all epochs from `first_epoch` on, in order and across the ends of epochs without a stop.

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


def validation_arrays(
    samples: Sequence[Sample], segmenter: InstanceSegmenter, preprocessor: Preprocessor, config: TrainingConfig
) -> tuple[NDArray, tuple[NDArray, ...]]:
    """Make the fixed patches that give the validation loss: anywhere in the images, which take turns; not augmented.

    Returns:
        `x` of `(validation_patches, patch_size, patch_size, in_channels)`, and the targets.
    """
    source = PatchSource(samples, preprocessor, None, config.patch_size, cache_mb=1)
    numbers = sorted(range(config.validation_patches), key=lambda number: number % len(samples))
    items = []
    for number in numbers:
        # A stream of its own: no epoch of the training items has this number.
        rng = np.random.default_rng((config.seed, 2**32 - 1, number))
        items.append(_flat(segmenter.targets(*source.patch(number % len(samples), rng, foreground_probability=0.0))))
    x, *targets = (np.stack(arrays) for arrays in zip(*items, strict=True))
    return x, tuple(targets)


def sampling_probabilities(samples: Sequence[Sample], config: TrainingConfig) -> NDArray[np.float64]:
    """Give how likely each sample is drawn: all alike, or by the weight of its modality.

    Returns:
        `(N,)` float64, summing to 1.
    """
    if config.balance == "none":
        return np.full(len(samples), 1 / len(samples))
    by_modality = {str(name): weight for name, weight in config.modality_weights.items()}
    modalities = [sample.modality for sample in samples]
    weights = np.array([by_modality.get(name, 1.0) / modalities.count(name) for name in modalities])
    return weights / weights.sum()


def _flat(item: Item) -> list[NDArray]:
    x, targets = item
    return [np.ascontiguousarray(array) for array in (x, *targets)]
