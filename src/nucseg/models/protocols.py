"""The interfaces of models: all that training, inference and serving know about them. One protocol per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from nucseg.core.placement import SAME, Placement
from nucseg.core.types import Instances
from nucseg.core.window import Window

if TYPE_CHECKING:
    import keras

LOWEST_SCORE = 0.05
"""Candidates below this score are of no use to any metric (design: COCO AP is over predictions down to 0.05)."""


class Model(Protocol):
    """A network that can be trained, saved and loaded, whatever its task.

    The type of truth depends on the task: a label image `(h, w)` int32 (0 is background, gaps are allowed) for
    instances, a class map `(h, w)` uint8 for semantic segmentation, the class 0 or 1 for patches.

    Attributes:
        in_channels: Channels of its images, 1 or 3.
        stride: Pixels; the sides of patches and the origins of tiles are multiples of it.
        keras_model: The network to fit, from images `(N, h, w, in_channels)` to what `targets` returns.
        thresholds: Values that were chosen on validation images and belong to the weights.
    """

    in_channels: Literal[1, 3]
    stride: int
    keras_model: keras.Model
    thresholds: dict[str, float]

    def targets(
        self, image: NDArray[np.float32], truth: Any
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], ...]]:
        """Compute what the network learns from one patch; called from several threads at once.

        Args:
            image: `(h, w, in_channels)` float32, preprocessed; the sides are multiples of `stride`.
            truth: What the patch shows.

        Returns:
            The input and the targets of the network, without the batch axis.
        """
        ...

    def compile(self, optimizer: keras.Optimizer) -> None:
        """Compile `keras_model` with the model's losses and metrics."""
        ...

    def tune(self, images: Sequence[NDArray], truths: Sequence[Any]) -> dict[str, float]:
        """Choose the thresholds on validation images, without changing the model's.

        Args:
            images: Each as the model takes it: `(H, W, in_channels)` float32, preprocessed, no side above what it takes
                at once; for a patch classifier as `classify` takes it.
            truths: What each shows.

        Returns:
            The thresholds chosen.
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


class InstanceSegmenter(Model, Protocol):
    """A model that finds nuclei, in two steps: running its network, and deciding which proposals are nuclei.

    An image of any size is predicted so that no seam shows: the network runs over tiles, each proposal belongs to the
    tile that holds its centre, and the decision about a tile is taken with the proposals of its neighbours. The two
    steps of different tiles overlap in time.

    Proposals have a type of the model's own, which can be pickled, since they are sent between processes.
    `decode(propose([image], thresholds)[0], image.shape[:2], thresholds)` is the nuclei of an image. Neither step looks
    at the attribute `thresholds`: they are passed as arguments.

    Attributes:
        halo: Pixels of context that a tile needs around what it owns, so that its seams do not show.
        max_side: Pixels a side of the largest image that the network takes at once; it bounds the memory. The caller
            tiles larger images.
        thresholds: The decoding thresholds that belong to the weights; `score` is one of them.
    """

    halo: int
    max_side: int

    def propose(
        self,
        images: Sequence[NDArray[np.float32]],
        thresholds: Mapping[str, float],
        cores: Sequence[Window] | None = None,
    ) -> list[Any]:
        """Run the network over images and keep what may be a nucleus.

        May be called by several threads at once; the network runs for one of them at a time, since it takes all cores
        and much memory.

        Args:
            images: Each `(H, W, in_channels)` float32, preprocessed.
            thresholds: The decoding thresholds; `score` is the lowest one to keep.
            cores: The requested window of each image; it begins at multiples of the stride and ends at such or with the
                image, and the pixels around it are context. None: the whole image.

        Returns:
            For each image the proposals whose centres lie in its window, in the window's frame.
        """
        ...

    def join(self, parts: Sequence[tuple[Any, Window]], window: Window) -> Any:
        """Collect the proposals whose centres lie in a window.

        Args:
            parts: Proposals, and the window of the image that they were made for (whose frame they are in). A centre
                lies in one of them at most.
            window: A window of the same image.

        Returns:
            The proposals in the frame of `window`, in the order that `propose` would return them.
        """
        ...

    def max_radius(self, proposals: Any) -> int:
        """Return the largest distance in pixels from a proposed nucleus's centre to its border."""
        ...

    def decode(
        self, proposals: Any, shape: tuple[int, int], thresholds: Mapping[str, float], placement: Placement = SAME
    ) -> Instances:
        """Decide which proposals are nuclei and draw them; may be called by several threads at once.

        Decoding proposals down to a low score and calling `Instances.above(t)` gives what decoding those from t up
        gives, for t from `LOWEST_SCORE` up.

        Args:
            proposals: What `propose` or `join` returned.
            shape: (rows, columns) of the label image.
            thresholds: The decoding thresholds, in pixels of the proposals. Nuclei that score below `score` never
                change those from it up.
            placement: Where the frame of the proposals lies in the label image.

        Returns:
            The nuclei by decreasing score.
        """
        ...


class SemanticSegmenter(Model, Protocol):
    """A model that assigns every pixel to a class.

    Attributes:
        classes: Names of the classes, from 0 on.
        halo: Pixels up to which a pixel changes another's probabilities: the context of a tile without visible seams.
        max_side: Pixels a side of the largest image that the network takes at once; it bounds the memory. The caller
            tiles larger images.
        whole_images: Whether every pixel depends on the whole image, which then cannot be tiled.
    """

    classes: tuple[str, ...]
    halo: int
    max_side: int
    whole_images: bool

    def probabilities(
        self, images: Sequence[NDArray[np.float32]], cores: Sequence[Window] | None = None
    ) -> list[NDArray[np.float32]]:
        """Compute the probability of each class in each pixel; may be called by several threads at once.

        Args:
            images: Each `(H, W, in_channels)` float32, preprocessed.
            cores: The requested window of each image; it begins at multiples of the stride, and the pixels around it
                are context. None: the whole image.

        Returns:
            Of each image `(h, w, classes)` float32, the size of its window; they sum to 1 in each pixel.
        """
        ...


class PatchClassifier(Model, Protocol):
    """A model that assigns a patch to one of two classes.

    Attributes:
        patch_size: Side of a patch in pixels.
        pixel_size: Micrometres per pixel at which it was trained.
        classes: Names of the classes 0 and 1, such as `("other", "mitosis")`.
        thresholds: `probability`: from which a patch is of class 1; `temperature`: divides the logits.
    """

    patch_size: int
    pixel_size: float
    classes: tuple[str, str]

    def classify(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute the calibrated probability of class 1 of each patch; may be called by several threads at once.

        Args:
            patches: `(N, patch_size, patch_size, 3)` uint8, RGB.

        Returns:
            `(N,)` float32.

        Raises:
            InputError: The patches are of another shape or dtype.
        """
        ...


def lowest_score(own: float, wanted: float | None) -> float:
    """Return the score down to which proposals are decoded, so that a higher threshold only removes nuclei.

    Nuclei below the model's own threshold only compete with each other for pixels. Always decoding the same ones makes
    the result at one threshold a subset of that at a lower one.

    Args:
        own: The model's score threshold.
        wanted: The threshold of the answer; None for the model's own.
    """
    return own if wanted is None or wanted >= own else min(wanted, LOWEST_SCORE)
