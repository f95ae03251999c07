"""Compiling a function of tensors with whatever backend Keras runs on."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import keras


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function from arrays to tensors, for prediction.

    TensorFlow traces it once for all sizes of images, JAX once for each; PyTorch runs it as it is, without gradients.

    Args:
        function: Written in `keras.ops`.

    Returns:
        The compiled function.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, reduce_retracing=True, autograph=False)
    if keras.backend.backend() == "jax":
        return import_module("jax").jit(function)
    return import_module("torch").no_grad()(function)
