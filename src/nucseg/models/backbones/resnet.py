"""ResNet-50 and ResNeXt-50: trunks of residual blocks with the resolutions and widths that a model needs.

A block is a bottleneck (He et al. 2015, https://arxiv.org/abs/1512.03385); in ResNeXt its 3x3 convolution is wider and
split into groups (Xie et al. 2017, https://arxiv.org/abs/1611.05431). Levels may keep their resolution, with dilated
kernels instead (Chen et al. 2017, https://arxiv.org/abs/1706.05587).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
from numpy.typing import NDArray

from nucseg.core.errors import DownloadError, ModelError
from nucseg.models.backbones.torch_file import read_torch_file

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
"""Filters of a bottleneck and blocks of each stage; the first stage works at stride 4."""

_WEIGHTS = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """The layout of published weights; a network that loads them must be built the same way.

    Attributes:
        groups: Groups of the 3x3 convolution.
        group_width: Filters of each group in the first stage.
        strided: The convolution of a bottleneck that halves the resolution: the first 1x1 or the 3x3.
        bias: Whether convolutions have a bias, which the following batch normalisation makes redundant.
        epsilon: Value that the batch normalisation adds to variances.
    """

    groups: int
    group_width: int
    strided: Literal["1x1", "3x3"]
    bias: bool
    epsilon: float


RESNET50 = Layout(groups=1, group_width=64, strided="1x1", bias=True, epsilon=1.001e-5)
"""ResNet-50 as Keras and its authors publish it."""

RESNEXT50 = Layout(groups=32, group_width=4, strided="3x3", bias=False, epsilon=1e-5)
"""ResNeXt-50 32x4d as torchvision publishes it. Keras has no weights of it."""


def build_trunk(layout: Layout, *, coarsest: Literal[8, 16, 32] = 32, frozen: bool = False) -> keras.Model:
    """Build the trunk with random weights.

    Args:
        layout: The network to build.
        coarsest: Largest stride; stages beyond it are dilated.
        frozen: Whether the batch normalisation stays fixed in training, as is usual with published weights: batches of
            few images are too small for it.

    Returns:
        From images `(N, H, W, 3)`, as the published weights expect them, sides multiples of `coarsest`, to five maps
        `(N, H/s, W/s, C)`, the finest first: s is 2, 4, 8, 16 and 32, but at most `coarsest`; C is 64, 256, 512, 1024
        and 2048.
    """
    layers = keras.layers
    images = keras.Input((None, None, 3))
    x = layers.ZeroPadding2D(3, name="conv1_pad")(images)
    x = layers.Conv2D(64, 7, strides=2, use_bias=layout.bias, name="conv1_conv")(x)
    x = layers.BatchNormalization(epsilon=layout.epsilon, name="conv1_bn")(x)
    x = layers.Activation("relu", name="conv1_relu")(x)
    levels = [x]
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    reached, dilation = 4, 1
    for number, (filters, blocks) in enumerate(STAGES):
        stride, first_dilation = (2 if number else 1), dilation
        if reached * stride > coarsest:
            stride, dilation = 1, 2 * dilation
        reached *= stride
        for block in range(blocks):
            name = f"conv{number + 2}_block{block + 1}"
            x = _block(x, name, filters, layout, 1 if block else stride, dilation if block else first_dilation)
        levels.append(x)
    trunk = keras.Model(images, levels, name="trunk")
    for layer in trunk.layers:
        if frozen and isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    return trunk


def _block(x: Any, name: str, filters: int, layout: Layout, stride: int, dilation: int) -> Any:
    """Add a bottleneck; where the channels change, its shortcut is a convolution."""
    layers = keras.layers

    def convolution(x: Any, part: int, filters: int, stride: int = 1, **options: Any) -> Any:
        x = layers.Conv2D(filters, strides=stride, use_bias=layout.bias, name=f"{name}_{part}_conv", **options)(x)
        return layers.BatchNormalization(epsilon=layout.epsilon, name=f"{name}_{part}_bn")(x)

    shortcut = x
    if x.shape[-1] != 4 * filters:
        shortcut = convolution(x, 0, 4 * filters, stride, kernel_size=1)
    width = filters * layout.groups * layout.group_width // 64
    first, second = (stride, 1) if layout.strided == "1x1" else (1, stride)
    x = convolution(x, 1, width, first, kernel_size=1)
    x = layers.Activation("relu", name=f"{name}_1_relu")(x)
    if second > 1:  # Keras's own padding would be uneven there
        x = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(x)
    padding = "valid" if second > 1 else "same"
    x = convolution(x, 2, width, second, kernel_size=3, padding=padding, groups=layout.groups, dilation_rate=dilation)
    x = layers.Activation("relu", name=f"{name}_2_relu")(x)
    x = convolution(x, 3, 4 * filters, kernel_size=1)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def take_imagenet(trunk: keras.Model) -> None:
    """Set the ImageNet weights that Keras publishes; they are downloaded once.

    They expect images with values of 0 to 255, channels in the order blue, green, red, minus `IMAGENET_MEAN`.

    Args:
        trunk: As `build_trunk` builds it with the layout `RESNET50`; it is modified.

    Raises:
        DownloadError: The weights cannot be fetched.
    """
    try:
        published = keras.applications.ResNet50(include_top=False, weights="imagenet", input_shape=(None, None, 3))
    except Exception as error:  # Keras raises a bare Exception for a failed download
        raise DownloadError(
            f"pretrained: the ImageNet weights of ResNet-50 could not be downloaded ({error}). Connect to the network, "
            f"or put {_WEIGHTS} into {_keras_cache()}, then run again; or set pretrained to null (random weights) or "
            "to a model folder."
        ) from error
    weights = dict(zip((weight.path for weight in published.weights), published.get_weights(), strict=True))
    for weight in trunk.weights:
        weight.assign(weights[weight.path])
    _log.info("The backbone starts from ImageNet weights.")


def take_torchvision(trunk: keras.Model, file: Path) -> None:
    """Set the weights that torchvision publishes.

    They expect images in unit range, channels in the order red, green, blue, minus `TORCH_MEAN`, divided by
    `TORCH_DEVIATION`.

    Args:
        trunk: As `build_trunk` builds it with the layout `RESNEXT50`; it is modified.
        file: torchvision's `resnext50_32x4d-*.pth`.

    Raises:
        ModelError: The file cannot be read, or holds another network.
    """
    published = read_torch_file(file)
    try:
        for layer in trunk.layers:
            if layer.weights:
                layer.set_weights(_torch_weights(published, layer.name))
    except (KeyError, ValueError) as error:
        raise ModelError(f"pretrained: {file} does not hold the weights of ResNeXt-50 32x4d ({error}).") from error
    _log.info("The backbone starts from the weights of %s.", file)


def _torch_weights(published: Mapping[str, NDArray], layer: str) -> list[NDArray]:
    """Return the weights of one of Keras's layers, such as `conv2_block1_0_bn`, in its layout."""
    place, kind = layer.rsplit("_", 1)
    if "block" in place:
        stage, block, part = place.split("_")
        name = f"layer{int(stage[4:]) - 1}.{int(block[5:]) - 1}."
        shortcut = part == "0"
        name += f"downsample.{0 if kind == 'conv' else 1}" if shortcut else f"{kind}{part}"
    else:
        name = f"{kind}1"
    if kind == "conv":
        return [published[f"{name}.weight"].transpose(2, 3, 1, 0)]
    return [published[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]


def receptive_radius(coarsest: int) -> int:
    """Return the distance in pixels, from a cell's border, up to which pixels change its features.

    Args:
        coarsest: As `build_trunk` takes it.
    """
    radius, reached, dilation = 5, 4, 1  # of the first convolution and the pooling
    for number, (_, blocks) in enumerate(STAGES):
        if number and reached * 2 > coarsest:
            dilation *= 2
        elif number:
            reached *= 2
        radius += blocks * dilation * reached
    return radius


IMAGENET_MEAN = (103.939, 116.779, 123.68)
"""Of blue, green and red bytes: what Keras's weights of `RESNET50` were trained with."""

TORCH_MEAN, TORCH_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in unit range: what torchvision's weights were trained with."""


def _keras_cache() -> Path:
    return Path(keras.config.keras_home() if hasattr(keras.config, "keras_home") else Path.home() / ".keras") / "models"
