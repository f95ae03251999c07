"""The network as prediction runs it: no further than what is asked for, and distances only where a nucleus may be."""

from collections.abc import Callable

import keras
import tensorflow as tf

from nucseg.models.stardist.foreground import FOREGROUND

_MARGIN = 2  # cells: for the convolution that makes the features, and the foreground head's at full resolution

Proposing = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]]


def proposing(network: keras.Model, grid: int) -> Proposing:
    """Compile the network for prediction.

    Much of its work is in the last layers, and tiles overlap: these layers see only what the tile owns and the cells
    around. The distances, a 1x1 convolution, are computed for the cells alone that score enough.

    Args:
        network: From images `(N, H, W, C)` to object probability, distances and, perhaps, a foreground map; its weights
            may change afterwards.
        grid: Pixels a side of a cell.

    Returns:
        A function of the images (float32, sides multiples of the network's stride), of the window `(4,)` of them that
        is asked for (int32 pixels; top and left multiples of the grid) and of the lowest score. In the frame of that
        window it gives cells `(K, 3)` int64 (image, row, column), scores `(K,)`, distances `(K, n_rays)` and, if there
        is such a head, the foreground `(N, h, w)` bool.
    """
    probability, distances = network.get_layer("prob"), network.get_layer("dist")
    features = probability.input
    joints = {"cells": next(layer.input for layer in network.layers if layer.output is features)}
    outputs = {"features": features, "scores": probability.output}
    if len(network.outputs) > 2:
        # What the foreground head joins to the features: those of the first layers.
        joints["pixels"] = network.get_layer("foreground_joined").input[1]
        outputs["foreground"] = network.outputs[2]
    body, heads = keras.Model(network.inputs, joints), keras.Model([*joints.values()], outputs)
    sides = {"cells": 1, "pixels": grid}

    def run(images: tf.Tensor, window: tf.Tensor, lowest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        seen = body(images, training=False)
        first, last = window[:2] // grid, -(-window[2:] // grid)
        low, high = tf.maximum(first - _MARGIN, 0), tf.minimum(last + _MARGIN, tf.shape(seen["cells"])[1:3])
        told = heads([_crop(seen[name], low * sides[name], high * sides[name]) for name in joints])
        scores = _crop(told["scores"], first - low, last - low)[..., 0]
        cells = tf.where(scores >= lowest)
        in_features = cells + tf.cast(tf.concat([[0], first - low], 0), tf.int64)
        rays = tf.matmul(tf.gather_nd(told["features"], in_features), distances.kernel[0, 0]) + distances.bias
        found = (cells, tf.gather_nd(scores, cells), rays)
        if "foreground" not in told:
            return found
        start, end = window[:2] - low * grid, window[2:] - low * grid
        return (*found, _crop(told["foreground"], start, end)[..., 0] >= FOREGROUND)

    channels = network.inputs[0].shape[-1]
    signature = [
        tf.TensorSpec((None, None, None, channels), tf.float32),
        tf.TensorSpec((4,), tf.int32),
        tf.TensorSpec((), tf.float32),
    ]
    compiled: Proposing = tf.function(run, input_signature=signature, autograph=False)
    return compiled


def _crop(maps: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    return maps[:, low[0] : high[0], low[1] : high[1]]
