"""The network: a trunk, and a decoder from its levels to a logit per class and pixel, in plain Keras."""

from typing import Any, Literal, cast

import keras

from nucseg.models.backbones import efficientnet_lite, resnet
from nucseg.models.unet.config import UNetConfig

_FINEST = 2  # stride of the decoder's last level, and pixels a side of its cells


def build_network(config: UNetConfig) -> keras.Model:
    """Build the network with random weights.

    A level of the decoder upsamples the one below by nearest neighbour and concatenates the trunk's level (Ronneberger
    et al. 2015, https://arxiv.org/abs/1505.04597). The image itself is concatenated to the last level, with each 2 x 2
    pixels as one cell; in the same way each cell holds the logits of its pixels (sub-pixel convolution, Shi et al.
    2016, https://arxiv.org/abs/1609.05158). No layer depends on the batch in prediction, nor on the size of the image.

    Args:
        config: The network to build.

    Returns:
        From images `(N, H, W, in_channels)` in unit range, sides multiples of `stride_of(config)`, to logits
        `(N, H, W, classes)` float32. The trunk is its layer `trunk`.
    """
    layers = keras.layers
    images = keras.Input((None, None, config.in_channels))
    levels = _trunk_levels(config, images)
    x = levels[-1]
    last = len(config.decoder_filters) - 1
    for number, filters in enumerate(config.decoder_filters):
        if number:
            joined = [layers.UpSampling2D(name=f"decoder{number}_enlarged")(x), levels[-1 - number]]
            if number == last:
                joined.append(keras.ops.space_to_depth(images, _FINEST))
            x = layers.Concatenate(name=f"decoder{number}_joined")(joined)
        x = _convolution(filters, f"decoder{number}")(x)
    x = _convolution(config.decoder_filters[-1], "features")(x)
    # float32 regardless of the precision of the rest: probabilities near 0 and 1 matter.
    logits = layers.Conv2D(_FINEST**2 * len(config.classes), 1, dtype="float32", name="logits")(x)
    return keras.Model(images, keras.ops.depth_to_space(logits, _FINEST))


def stride_of(config: UNetConfig) -> int:
    """Return the stride of the coarsest level in pixels."""
    return int(_FINEST * 2 ** (len(config.decoder_filters) - 1))


def halo_of(config: UNetConfig) -> int:
    """Return the distance in pixels up to which a pixel changes another's logits, rounded up to the stride."""
    coarsest = stride_of(config)
    margin = _FINEST  # of the last features
    for level in range(len(config.decoder_filters)):
        cell = _FINEST * 2**level
        margin = -(-margin // cell) * cell + cell  # the cells that hold the margin, and one more for the convolution
    if config.trunk == "resnext50":
        radius = resnet.receptive_radius(cast(Literal[16, 32], coarsest))
    else:
        radius = efficientnet_lite.receptive_radius(coarsest)
    return -(-(margin + radius) // coarsest) * coarsest


def _trunk_levels(config: UNetConfig, images: Any) -> list[Any]:
    """Add the trunk; return one level for each stride, the finest first."""
    coarsest = stride_of(config)
    if config.trunk == "efficientnet_lite0":
        return list(efficientnet_lite.build_trunk(config.in_channels, coarsest)(images))
    colors = images if config.in_channels == 3 else keras.layers.Concatenate()([images] * 3)
    scale = [1 / deviation for deviation in resnet.TORCH_DEVIATION]
    offset = [-mean / deviation for mean, deviation in zip(resnet.TORCH_MEAN, resnet.TORCH_DEVIATION, strict=True)]
    colors = keras.layers.Rescaling(scale, offset=offset)(colors)
    # Published statistics stay as they are: batches of few images are too small to replace them.
    frozen = config.pretrained is not None
    trunk = resnet.build_trunk(resnet.RESNEXT50, coarsest=cast(Literal[16, 32], coarsest), frozen=frozen)
    levels = list(trunk(colors))
    return [*levels[: len(config.decoder_filters) - 1], levels[-1]]  # of two levels with one stride the deeper one


def _convolution(filters: int, name: str) -> Any:
    return keras.layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=name)
