"""The feature pyramid."""

import keras

from nucseg.models.mask_rcnn.config import MaskRCNNConfig


def build_pyramid(backbone: keras.Model, config: MaskRCNNConfig) -> keras.Model:
    """Give each level of the backbone the meaning of the coarser ones (Lin et al. 2017, section 3).

    Returns:
        From images to one map `(N, h/s, w/s, pyramid_channels)` for each stride s, the finest first.
    """
    layers, channels = keras.layers, config.pyramid_channels
    merged = None
    levels = []
    for number, level in reversed(list(enumerate(backbone.outputs))):
        lateral = layers.Conv2D(channels, 1, name=f"lateral{number}")(level)
        merged = lateral if merged is None else layers.Add()([lateral, layers.UpSampling2D(2)(merged)])
        levels.append(layers.Conv2D(channels, 3, padding="same", name=f"level{number}")(merged))
    return keras.Model(backbone.inputs, levels[::-1], name="pyramid")
