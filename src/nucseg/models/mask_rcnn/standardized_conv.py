"""A convolution that needs no normalisation layer behind it."""

from typing import Any

import keras
from keras import ops

RELU_GAIN = 1.7139588594436646
"""√(2 / (1 - 1/π)): what a ReLU takes from a signal's deviation (Brock et al. 2021a, table 1)."""


class StandardizedConv2D(keras.layers.Conv2D):
    """A convolution whose kernels have mean 0 and such a deviation that the signal's is kept.

    Scaled weight standardisation (Brock et al. 2021a, "Characterizing signal propagation", equation 4) with a learned
    gain for each filter. The statistics are those of the weights, not of a batch: training and prediction compute the
    same, a batch of few patches of different stains does no harm, and a nucleus does not depend on its tile. Batch
    normalisation would need more than four patches a step, and its passes over the largest maps cost a third of it.

    Args:
        filters: Filters.
        size: Rows and columns of a kernel.
        stride: Pixels between two outputs.
        first_gain: What the filters' gains begin with.
    """

    def __init__(self, filters: int, size: int, stride: int = 1, first_gain: float = 1.0, **options: Any) -> None:
        super().__init__(filters, size, strides=stride, padding="same", **options)
        self._first_gain = first_gain

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the kernels, the biases and the gains."""
        super().build(input_shape)
        self.gain = self.add_weight(
            name="gain", shape=(self.filters,), initializer=keras.initializers.Constant(self._first_gain)
        )

    def call(self, inputs: Any) -> Any:
        """Convolve `(N, h, w, C)` with the standardised kernels."""
        kernel = self.kernel
        fan_in = kernel.shape[0] * kernel.shape[1] * kernel.shape[2]
        mean = ops.mean(kernel, axis=(0, 1, 2), keepdims=True)
        variance = ops.mean(ops.square(kernel - mean), axis=(0, 1, 2), keepdims=True)
        scale = RELU_GAIN * self.gain * ops.rsqrt(ops.maximum(variance * fan_in, 1e-4))
        return self.convolution_op(inputs, (kernel - mean) * scale) + self.bias
