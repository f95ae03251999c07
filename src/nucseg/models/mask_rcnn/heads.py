"""The heads on the features: the region proposal network, the box head and the mask head."""

from typing import Any

import keras
from keras import ops

from nucseg.models.mask_rcnn.config import MaskRCNNConfig

_PRIOR_BIAS = -4.6
"""First bias of what is rarely true, log(0.01 / 0.99): the first steps do not drown in it (Lin et al. 2017)."""


def build_rpn(config: MaskRCNNConfig) -> keras.Model:
    """Build the region proposal network that slides over each level (Ren et al. 2015, section 3.1).

    Returns:
        From a level `(N, h, w, C)` to logits `(N, h * w * k)` and coded boxes `(N, h * w * k, 4)`, k anchors per cell.
    """
    layers = keras.layers
    features = keras.Input((None, None, config.pyramid_channels))
    anchors = config.anchors_per_cell
    x = layers.Conv2D(config.pyramid_channels, 3, padding="same", activation="relu", name="hidden")(features)
    first = keras.initializers.RandomNormal(stddev=0.01)
    bias = keras.initializers.Constant(_PRIOR_BIAS)
    logits = layers.Conv2D(anchors, 1, kernel_initializer=first, bias_initializer=bias, name="objectness")(x)
    codes = layers.Conv2D(4 * anchors, 1, kernel_initializer=first, name="box")(x)
    outputs = [layers.Reshape((-1,))(logits), layers.Reshape((-1, 4))(codes)]
    return keras.Model(features, outputs, name="rpn")


def build_box_head(config: MaskRCNNConfig) -> keras.Model:
    """Build the head that scores a proposal and moves its box (Lin et al. 2017, section 4.2: two hidden layers).

    Returns:
        From `(N, box_size, box_size, C)` to logits `(N,)` and coded boxes `(N, 4)`.
    """
    layers = keras.layers
    features = keras.Input((config.box_size, config.box_size, config.pyramid_channels))
    x = layers.Flatten()(features)
    for number in range(2):
        x = layers.Dense(config.box_units, activation="relu", name=f"hidden{number}")(x)
    logit = layers.Dense(1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), name="score")(x)
    codes = layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(stddev=0.001), name="box")(x)
    return keras.Model(features, [layers.Reshape(())(logit), codes], name="box_head")


def build_mask_head(config: MaskRCNNConfig) -> keras.Model:
    """Build the small fully convolutional network that draws a nucleus (He et al. 2017, section 3, figure 4).

    Returns:
        From `(N, mask_size, mask_size, C)` to logits `(N, 2 * mask_size, 2 * mask_size)`.
    """
    layers = keras.layers
    features = x = keras.Input((config.mask_size, config.mask_size, config.pyramid_channels))
    for number in range(config.mask_convolutions):
        x = layers.Conv2D(
            config.mask_channels, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=f"{number}"
        )(x)
    x = Conv2DTranspose(
        config.mask_channels, 2, strides=2, activation="relu", kernel_initializer="he_normal", name="enlarged"
    )(x)
    logits = layers.Conv2D(1, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), name="mask")(x)
    blocks = layers.Reshape((config.mask_size, config.mask_size, 2, 2))(logits)
    rows = layers.Permute((1, 3, 2, 4))(blocks)
    return keras.Model(features, layers.Reshape((2 * config.mask_size, 2 * config.mask_size))(rows), name="mask_head")


class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """A transposed convolution whose stride equals its kernel's side, as one matrix product.

    Each cell gives a block of its own, so a 1x1 convolution computes them (Shi et al. 2016, "Real-time single image and
    video super-resolution", section 3.2), whose bias and activation need no separate passes over the large map. The
    blocks stay in rows: `(N, h, w, C)` becomes `(N, h, w * side², filters)`; rearranging the final result is faster. It
    has the name and the weights of Keras's layer, so that a weights file fits both.
    """

    def call(self, inputs: Any) -> Any:
        """Convolve."""
        kernel = ops.reshape(ops.transpose(self.kernel, (3, 0, 1, 2)), (1, 1, inputs.shape[-1], -1))
        blocks = ops.conv(inputs, kernel) + ops.tile(self.bias, kernel.shape[-1] // self.filters)
        return ops.reshape(self.activation(blocks), (-1, *self.compute_output_shape(inputs.shape)[1:]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of what `call` returns."""
        n_inputs, height, width, _ = input_shape
        return (n_inputs, height, width * self.kernel_size[0] * self.kernel_size[1], self.filters)
