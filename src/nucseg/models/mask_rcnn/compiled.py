"""Compiling a function of tensors with Keras's backend."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import keras


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function from arrays to tensors, for prediction.

    TensorFlow traces it once for all image sizes, JAX once for each; PyTorch runs it uncompiled, without gradients.

    Args:
        function: A function written with `keras.ops`.

    Returns:
        The compiled function.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, reduce_retracing=True, autograph=False)
    if keras.backend.backend() == "jax":
        return import_module("jax").jit(function)
    return import_module("torch").no_grad()(function)
