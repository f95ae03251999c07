"""A model's network as one function of images, as other programs run it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nucseg.core.errors import ModelError
from nucseg.models.bundle import ModelBundle
from nucseg.models.registry import kind_of
from nucseg.sharing.example import draw_example, draw_stained

IMAGE = "image"
"""Name of the one input."""

TOLERANCE = 1e-3
"""Largest difference between an exported network and Keras in float32; relative for values above 1."""

_GRAPHS = {
    "stardist": "nucseg.sharing.stardist_graph:graph",
    "mask_rcnn": "nucseg.sharing.mask_rcnn_graph:graph",
    "patch_classifier": "nucseg.sharing.patch_graph:graph",
    "deeplab": "nucseg.sharing.semantic_graph:graph",
    "unet": "nucseg.sharing.semantic_graph:graph",
}
"""Kind of model to the function that creates its graph."""


@dataclass(frozen=True)
class Output:
    """One output of a graph.

    Attributes:
        name: Its name.
        shape: Its axes in words, such as `(N, H / 2, W / 2, 1)`.
        meaning: What it holds.
    """

    name: str
    shape: str
    meaning: str


@dataclass(frozen=True)
class Citation:
    """A publication on which a model is built.

    Attributes:
        text: Authors, year and title.
        doi: Its digital object identifier.
    """

    text: str
    doi: str


@dataclass(frozen=True)
class Graph:
    """A network with what one must know to use it without nucseg.

    Attributes:
        network: What holds the weights.
        run: From a tensor of images to the outputs by name.
        dtype: Of the images.
        channels: Of the images.
        multiple: Sides of images are multiples of it.
        side: Side of the images where it is fixed.
        outputs: In their order.
        decoding: From outputs to results, step by step.
        citations: What the model is built on.
        batch: Number of images where it is fixed.
    """

    network: keras.Model
    run: Callable[[tf.Tensor], Mapping[str, tf.Tensor]]
    dtype: Literal["float32", "uint8"]
    channels: int
    multiple: int
    side: int | None
    outputs: tuple[Output, ...]
    decoding: tuple[str, ...]
    citations: tuple[Citation, ...]
    batch: int | None = None

    @property
    def signature(self) -> tf.TensorSpec:
        """What `run` takes: `(N, H, W, channels)`."""
        return tf.TensorSpec((self.batch, self.side, self.side, self.channels), self.dtype, name=IMAGE)

    def check(self, other: Callable[[NDArray], Mapping[str, NDArray]], name: str) -> None:
        """Compare what another program computes with Keras, on drawn nuclei; in two sizes, if the size is not fixed.

        Args:
            other: Runs the exported network.
            name: Name of the export for the error.

        Raises:
            ModelError: An output has another shape, or differs by more than `TOLERANCE`.
        """
        for count, rows, columns in ((1, 16, 16), (self.batch or 2, 8, 12)):
            shape = (self.side or rows * self.multiple, self.side or columns * self.multiple)
            images: NDArray
            if self.dtype == "uint8":
                images = np.stack([draw_stained(shape[0], seed) for seed in range(count)])
            else:
                drawn = np.stack([draw_example(shape, self.channels, seed) for seed in range(count)])
                images = drawn / np.float32(150)
            wanted, got = self.run(tf.constant(images)), other(images)
            for output in self.outputs:
                right = np.asarray(wanted[output.name])
                if got[output.name].shape != right.shape:
                    raise ModelError(
                        f"{name}: its output {output.name} has the shape {got[output.name].shape}, in Keras "
                        f"{right.shape}, so it is not kept. Report this with the versions of TensorFlow and tf2onnx."
                    )
                close = np.isclose(got[output.name], right, rtol=TOLERANCE, atol=TOLERANCE)
                if not close.all():
                    most = np.abs(got[output.name] - right).max()
                    raise ModelError(
                        f"{name}: its output {output.name} differs from Keras by {most:.2g}, where {TOLERANCE} is "
                        "allowed, so it is not kept. Report this with the versions of TensorFlow and tf2onnx."
                    )


def graph_of(bundle: ModelBundle, **options: Any) -> Graph:
    """Create the graph of a model.

    Args:
        bundle: The model, loaded in float32.
        options: Of the kind's own function.

    Raises:
        ModelError: Models of this kind cannot be exported.
    """
    kind = kind_of(bundle.model)
    if kind not in _GRAPHS:
        raise ModelError(f"{bundle.name}: a {kind} model cannot be exported; allowed are {', '.join(_GRAPHS)}.")
    module, _, function = _GRAPHS[kind].partition(":")
    graph: Graph = getattr(import_module(module), function)(bundle.model, **options)
    return graph
