"""A convolution that needs no normalisation layer behind it."""

from typing import Any

import keras
from keras import ops

RELU_GAIN = 1.7139588594436646
"""√(2 / (1 - 1/π)): what a ReLU takes from a signal's deviation (Brock et al. 2021a, table 1)."""


class StandardizedConv2D(keras.layers.Layer):
    """A convolution whose kernels have mean 0 and a deviation that preserves the signal's.

    Scaled weight standardisation (Brock et al. 2021a, "Characterizing signal propagation", equation 4) with a learned
    gain for each filter. The statistics are those of the weights, not of a batch: training and prediction compute the
    same, small batches of different stains do no harm, and a nucleus does not depend on its tile. Batch normalisation
    would need more than four patches per step, and its passes over the largest maps cost time.

    Args:
        filters: Number of filters.
        size: Rows and columns of a kernel.
        stride: Pixels between two outputs.
        first_gain: Initial gain of the filters.
        name: Name of the layer.
    """

    def __init__(self, filters: int, size: int, *, stride: int = 1, first_gain: float = 1.0, name: str) -> None:
        super().__init__(name=name)
        self.filters = filters
        self.size = size
        self.stride = stride
        self.first_gain = first_gain

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the kernels, the biases and the gains."""
        self.kernel = self.add_weight(name="kernel", shape=(self.size, self.size, input_shape[-1], self.filters))
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        first = keras.initializers.Constant(self.first_gain)
        self.gain = self.add_weight(name="gain", shape=(self.filters,), initializer=first)

    def call(self, inputs: Any) -> Any:
        """Convolve `(N, h, w, C)` with the standardised kernels; return `(N, h / stride, w / stride, filters)`."""
        kernel = ops.convert_to_tensor(self.kernel)
        fan_in = kernel.shape[0] * kernel.shape[1] * kernel.shape[2]
        kernel = kernel - ops.mean(kernel, axis=(0, 1, 2), keepdims=True)
        variance = ops.mean(ops.square(kernel), axis=(0, 1, 2), keepdims=True)
        scale = RELU_GAIN * self.gain * ops.rsqrt(ops.maximum(variance * fan_in, 1e-4))
        return ops.conv(inputs, kernel * scale, strides=self.stride, padding="same") + self.bias

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of what `call` returns."""
        sides = [None if side is None else -(-side // self.stride) for side in input_shape[1:3]]
        return (input_shape[0], *sides, self.filters)
