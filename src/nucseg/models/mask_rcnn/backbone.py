"""The convolutional networks that process the image, and the feature pyramid on top of them."""

from typing import Any

import keras

from nucseg.models.backbones import efficientnet_lite
from nucseg.models.backbones.resnet import IMAGENET_MEAN, RESNET50, build_trunk
from nucseg.models.mask_rcnn.config import MaskRCNNConfig
from nucseg.models.mask_rcnn.standardized_conv import StandardizedConv2D


def build_backbone(config: MaskRCNNConfig) -> keras.Model:
    """Build the backbone that the configuration names.

    Returns:
        From images `(N, h, w, in_channels)`, sides multiples of the largest stride, to one map `(N, h/s, w/s, C)` for
        each stride s of the pyramid, the finest first.
    """
    return {"resnet50": _resnet50, "efficientnet_lite0": _efficientnet, "light": _light}[config.backbone](config)


def _light(config: MaskRCNNConfig) -> keras.Model:
    """Build pre-activation residual blocks without normalisation layers (He et al. 2016; Brock et al. 2021b)."""
    images = keras.Input((None, None, config.in_channels))
    x = StandardizedConv2D(config.filters[0], 3, stride=2, name="stem")(images)
    levels = []
    for number, (filters, blocks) in enumerate(zip(config.filters, config.blocks, strict=True)):
        if number:
            x = keras.layers.ReLU()(x)
            x = StandardizedConv2D(filters, 3, stride=2, name=f"stage{number}_lowered")(x)
        for block in range(blocks):
            x = _residual(x, filters, f"stage{number}_block{block}")
        levels.append(x)
    return keras.Model(images, [keras.layers.ReLU()(level) for level in levels], name="backbone")


def _residual(x: Any, filters: int, name: str) -> Any:
    y = keras.layers.ReLU()(x)
    y = StandardizedConv2D(filters, 3, name=f"{name}_a")(y)
    y = keras.layers.ReLU()(y)
    # A small initial gain: a block is nearly the identity, and a stack of them does not amplify (SkipInit).
    y = StandardizedConv2D(filters, 3, first_gain=0.25, name=f"{name}_b")(y)
    return keras.layers.Add()([x, y])


def _efficientnet(config: MaskRCNNConfig) -> keras.Model:
    """Build EfficientNet-Lite0; the finest level also sees the pixels themselves, each 2 x 2 as one cell."""
    images = keras.Input((None, None, config.in_channels))
    finest, *coarser = efficientnet_lite.build_trunk(config.in_channels, config.strides[-1])(images)
    finest = keras.layers.Concatenate(name="finest")([finest, keras.ops.space_to_depth(images, config.strides[0])])
    return keras.Model(images, [finest, *coarser], name="backbone")


def _resnet50(config: MaskRCNNConfig) -> keras.Model:
    """Build ResNet-50; with pretrained weights its batch normalisation stays fixed."""
    images = keras.Input((None, None, config.in_channels))
    x = images if config.in_channels == 3 else keras.layers.Concatenate()([images] * 3)
    # After percentile normalisation the image is in [0, 1]; the published weights expect 0 to 255 minus the mean.
    x = keras.layers.Rescaling(255.0, offset=[-mean for mean in IMAGENET_MEAN])(keras.ops.flip(x, axis=-1))
    levels = build_trunk(RESNET50, frozen=config.pretrained is not None)(x)
    return keras.Model(images, levels[1:], name="backbone")


def build_pyramid(backbone: keras.Model, config: MaskRCNNConfig) -> keras.Model:
    """Build the pyramid, which adds the coarser levels' features to each level (Lin et al. 2017, section 3).

    Returns:
        From images to one map `(N, h/s, w/s, pyramid_channels)` for each stride s, the finest first.
    """
    layers, channels = keras.layers, config.pyramid_channels
    merged = None
    levels = []
    for number, level in reversed(list(enumerate(backbone.outputs))):
        lateral = layers.Conv2D(channels, 1, name=f"lateral{number}")(level)
        merged = lateral if merged is None else layers.Add()([lateral, layers.UpSampling2D(2)(merged)])
        plain = number == 0 and not config.finest_convolution
        levels.append(merged if plain else layers.Conv2D(channels, 3, padding="same", name=f"level{number}")(merged))
    return keras.Model(backbone.inputs, levels[::-1], name="pyramid")


def receptive_radius(config: MaskRCNNConfig) -> int:
    """Return the distance in pixels, rounded up, at which one pixel can change the proposals at another.

    The longest way: down the backbone to the coarsest level, through the pyramid's and the proposal network's 3x3
    convolutions there, and up again, which adds a cell for the position within it.
    """
    coarsest = config.strides[-1]
    if config.backbone == "efficientnet_lite0":
        radius = efficientnet_lite.receptive_radius(coarsest)
    elif config.backbone == "resnet50":
        # The stem's 7x7 and its pooling, then one 3x3 in each block of each stage.
        radius = 3 + 2 + sum(stride * blocks for stride, blocks in zip((4, 8, 16, 32), (3, 4, 6, 3), strict=True))
    else:
        radius = 1
        for number, (stride, blocks) in enumerate(zip(config.strides, config.blocks, strict=True)):
            radius += 2 * blocks * stride + (stride // 2 if number else 0)
    return radius + 2 * coarsest + coarsest
