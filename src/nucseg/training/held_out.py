"""The source of the patches of a training, and those that the validation loss is computed on."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nucseg.training.config import TrainingConfig


class Patches(Protocol):
    """The source of a feed's patches; safe to use from several threads."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], Any]:
        """Draw a patch for training: the model's input `(h, w, in_channels)`, and its truth."""
        ...

    def anywhere(self, index: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], Any]:
        """Cut a patch out of the sample at `index`, at any place; as `draw` does."""
        ...


def held_out_patches(source: Patches, config: TrainingConfig) -> Iterator[tuple[NDArray[np.float32], Any]]:
    """Cut the fixed patches of the validation loss, anywhere in the images, which are taken in turn.

    Args:
        source: The patches of the validation split, not augmented.
        config: Number of patches, and seed.

    Yields:
        A model's input and its truth; the patches of one image follow each other.
    """
    for number in sorted(range(config.validation_patches), key=lambda number: number % len(source)):
        # A stream of its own: no epoch of the training items has this number.
        yield source.anywhere(number % len(source), np.random.default_rng((config.seed, 2**32 - 1, number)))
