"""DeepLabV3+: a trunk, an atrous pyramid, and a small decoder. Keras alone, for any backend."""

from typing import Any, Literal

import keras

from nucseg.models.backbones import efficientnet_lite, resnet
from nucseg.models.deeplab.config import DeepLabConfig

STRIDE: Literal[16] = 16
"""Of the coarsest features; the trunk goes no further."""

RATES = (6, 12, 18)
"""Dilations of the pyramid's 3x3 convolutions, for features of stride 16."""

_FINE = 4  # stride of the decoder
_LOW_FILTERS = 48  # of the trunk's features at that stride


def build_network(config: DeepLabConfig) -> keras.Model:
    """Build the network with random weights.

    Chen et al. 2018, https://arxiv.org/abs/1802.02611, without batch normalisation outside of the trunk: nothing
    depends on the batch, and without pooling nothing depends on the size of the image. Each cell of the decoder holds
    the logits of its 4 x 4 pixels (sub-pixel convolution, Shi et al. 2016, https://arxiv.org/abs/1609.05158).

    Args:
        config: The network to build.

    Returns:
        From images `(N, H, W, 3)` in unit range, sides multiples of 16, to logits `(N, H, W, classes)` float32. The
        trunk is its layer `trunk`.
    """
    layers = keras.layers
    images = keras.Input((None, None, 3))
    low, high = _trunk_levels(config, images)
    branches = [_convolution(config.pyramid_filters, 1, "pyramid_1")(high)]
    branches += [_convolution(config.pyramid_filters, 3, f"pyramid_{rate}", rate)(high) for rate in RATES]
    if config.pooling:
        mean = keras.ops.mean(high, (1, 2), keepdims=True)
        seen = _convolution(config.pyramid_filters, 1, "pyramid_pooled")(mean)
        branches.append(seen + keras.ops.zeros_like(branches[0]))
    x = _convolution(config.pyramid_filters, 1, "pyramid")(layers.Concatenate()(branches))
    x = layers.UpSampling2D(STRIDE // _FINE, name="pyramid_enlarged")(x)
    x = layers.Concatenate()([x, _convolution(_LOW_FILTERS, 1, "low")(low)])
    for number in (1, 2):
        x = _convolution(config.decoder_filters, 3, f"decoder{number}")(x)
    # float32 regardless of the precision of the rest: probabilities near 0 and 1 matter.
    logits = layers.Conv2D(_FINE**2 * len(config.classes), 1, dtype="float32", name="logits")(x)
    return keras.Model(images, keras.ops.depth_to_space(logits, _FINE))


def halo_of(config: DeepLabConfig) -> int:
    """Return the distance in pixels up to which a pixel changes another's logits, rounded up to the stride.

    With pooling it holds but for the average, which depends on all of the image.
    """
    radius = -(-2 * _FINE // STRIDE) * STRIDE  # the cells that hold what the decoder's convolutions see
    radius += max(RATES) * STRIDE
    if config.trunk == "mobile":
        radius += efficientnet_lite.receptive_radius(STRIDE)
    else:
        radius += resnet.receptive_radius(STRIDE)
    return -(-radius // STRIDE) * STRIDE


def _trunk_levels(config: DeepLabConfig, images: Any) -> tuple[Any, Any]:
    """Add the trunk; return its features of strides 4 and 16."""
    if config.trunk == "mobile":
        _, low, _, high = efficientnet_lite.build_trunk(3, STRIDE)(images)
        return low, high
    # The input that Keras's weights were trained with: bytes in the order blue, green, red, minus their mean.
    reversed_ = keras.layers.Concatenate()([images[..., 2:], images[..., 1:2], images[..., :1]])
    centred = keras.layers.Rescaling(255.0, offset=[-mean for mean in resnet.IMAGENET_MEAN])(reversed_)
    # Published statistics stay as they are: batches of few images are too small to replace them.
    frozen = config.pretrained is not None
    _, low, _, _, high = resnet.build_trunk(resnet.RESNET50, coarsest=STRIDE, frozen=frozen)(centred)
    return low, high


def _convolution(filters: int, kernel: int, name: str, rate: int = 1) -> Any:
    return keras.layers.Conv2D(
        filters,
        kernel,
        padding="same",
        dilation_rate=rate,
        activation="relu",
        kernel_initializer="he_normal",
        name=name,
    )
