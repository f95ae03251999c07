"""The networks: from patches to one logit each."""

from typing import Any

import keras

from nucseg.models.backbones import efficientnet_lite, resnet
from nucseg.models.patch_classifier.config import PatchClassifierConfig

LITE_STRIDE = 16
"""Stride of the last features of EfficientNet-Lite0 that are used; the rest has three quarters of its weights."""

_STAGES = ((32, 1), (64, 2), (128, 2))  # channels and stride of each stage of `small`
_BLOCKS = 3
_STEM_FILTERS = 16


def build_network(config: PatchClassifierConfig) -> keras.Model:
    """Build the network with random weights.

    Args:
        config: Which network, for patches of which size.

    Returns:
        From patches `(N, patch_size, patch_size, 3)` in unit range to the logits of class 1, `(N, 1)`. A pretrained
        trunk is its layer `trunk`.
    """
    layers = keras.layers
    patches = keras.Input((config.patch_size, config.patch_size, 3))
    if config.network == "small":
        x = _small(layers.Rescaling(2.0, offset=-1.0)(patches))
    elif config.network == "lite":
        x = efficientnet_lite.build_trunk(3, LITE_STRIDE)(patches)[-1]
    else:
        # The input that Keras's weights were trained with: bytes in the order blue, green, red, minus their mean.
        reversed_ = layers.Concatenate()([patches[..., 2:], patches[..., 1:2], patches[..., :1]])
        centred = layers.Rescaling(255.0, offset=[-mean for mean in resnet.IMAGENET_MEAN])(reversed_)
        x = resnet.build_trunk(resnet.RESNET50)(centred)[-1]
    x = layers.GlobalAveragePooling2D()(x)
    if config.dropout:
        x = layers.Dropout(config.dropout)(x)
    initial = keras.initializers.VarianceScaling(1.0, mode="fan_in", distribution="truncated_normal")
    # float32 regardless of the precision of the rest: probabilities near 0 and 1 matter.
    logit = layers.Dense(1, kernel_initializer=initial, dtype="float32", name="logit")(x)
    return keras.Model(patches, logit)


def _small(x: Any) -> Any:
    """Add the small network of deep-histopath: nine pre-activation bottlenecks at strides 2, 4 and 8.

    He et al. 2016, Identity mappings in deep residual networks, https://arxiv.org/abs/1603.05027.
    """
    x = _convolution(x, _STEM_FILTERS, 3, 2)
    for channels, stride in _STAGES:
        for block in range(_BLOCKS):
            x = _bottleneck(x, channels, 1 if block else stride)
    return keras.layers.ReLU()(_normalised(x))


def _bottleneck(x: Any, channels: int, stride: int) -> Any:
    """Add a block whose narrow convolutions have a quarter of the channels that it takes."""
    narrow = x.shape[-1] // 4
    y = _convolution(keras.layers.ReLU()(_normalised(x)), narrow, 1, stride)
    y = _convolution(keras.layers.ReLU()(_normalised(y)), narrow, 3)
    y = _convolution(keras.layers.ReLU()(_normalised(y)), channels, 1)
    shortcut = x if x.shape[-1] == channels else _convolution(x, channels, 1, stride)
    return keras.layers.Add()([shortcut, y])


def _convolution(x: Any, filters: int, kernel: int, stride: int = 1) -> Any:
    return keras.layers.Conv2D(
        filters, kernel, strides=stride, padding="same", kernel_initializer=keras.initializers.HeNormal()
    )(x)


def _normalised(x: Any) -> Any:
    return keras.layers.BatchNormalization()(x)
