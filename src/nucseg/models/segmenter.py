"""What every instance segmentation model can do: the one interface that training, inference and serving know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import Instances

if TYPE_CHECKING:
    import keras

LOWEST_SCORE = 0.05
"""Candidates below this score are of no use to any metric (design: COCO AP is over predictions down to 0.05)."""


class Segmenter(Protocol):
    """A model that finds nuclei in preprocessed images.

    Attributes:
        in_channels: 1 or 3, the channels of the images it takes.
        stride: Pixels; the origins of tiles are multiples of it.
        halo: Pixels of context that a tile needs around what it owns, so that its seams do not show.
    """

    in_channels: Literal[1, 3]
    stride: int
    halo: int

    def predict(
        self, images: Sequence[NDArray[np.float32]], *, score_threshold: float | None = None
    ) -> list[Instances]:
        """Find the nuclei.

        Predicting at a low threshold and calling `Instances.above(t)` gives what predicting at t gives, for thresholds
        from `LOWEST_SCORE` up.

        Args:
            images: Each `(H, W, in_channels)` float32, preprocessed; any size, also different ones.
            score_threshold: The lowest score to keep; None takes the model's own, tuned on validation images.

        Returns:
            For each image the nuclei, in the order of falling score.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write what `load` needs into an existing folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: A file is missing or of another kind.
        """
        ...


class TrainableSegmenter(Segmenter, Protocol):
    """A model that can be trained.

    Attributes:
        keras_model: The network to fit, from images `(N, h, w, in_channels)` to what `targets` gives.
        thresholds: The decoding thresholds; `score` is one of them.
    """

    keras_model: keras.Model
    thresholds: dict[str, float]

    def targets(
        self, image: NDArray[np.float32], labels: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], ...]]:
        """Make what the network learns from one patch; called from several threads at once.

        Args:
            image: `(h, w, in_channels)` float32, preprocessed; the sides are multiples of `stride`.
            labels: `(h, w)` int32; 0 is background, gaps are allowed.

        Returns:
            The network's input and its targets, without the batch axis.
        """
        ...

    def compile(self, optimizer: keras.Optimizer) -> None:
        """Compile `keras_model` with the model's losses and metrics."""
        ...

    def tune(self, images: Sequence[NDArray[np.float32]], labels: Sequence[NDArray[np.int32]]) -> dict[str, float]:
        """Choose the decoding thresholds on validation images, set and return them.

        Args:
            images: Each `(H, W, in_channels)` float32, preprocessed.
            labels: The true label image of each, `(H, W)`.

        Returns:
            The new `thresholds`.
        """
        ...
