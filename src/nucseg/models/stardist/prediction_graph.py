"""The network for prediction: it computes only the requested window, and distances only where a nucleus may be."""

from collections.abc import Callable, Iterator, Sequence
from math import ceil, isqrt
from typing import Any

import keras
import tensorflow as tf

from nucseg.core.window import Window
from nucseg.models.stardist.foreground import in_bytes
from nucseg.models.stardist.network import Seam

PredictionGraph = Callable[[tf.Tensor, Window, float], tuple[tf.Tensor, ...]]
_BAND = 2**21  # pixels that the last layers see at once; the finest features need the most memory
_EARLY_BAND = 2**20  # that the first layers see at once, which have twice as many features


def compile_for_prediction(network: keras.Model, grid: int, seam: Seam) -> PredictionGraph:
    """Compile the network for prediction.

    Much of its work is in the last layers, and tiles overlap, so these layers see only the core of the tile and the
    cells around it. The distances, a 1x1 convolution, are computed only for cells with a sufficient score. In a tile,
    beside which results of others are in memory, the layers of the finest cells run over one band of rows after the
    other. A whole image passes them at once, which is faster.

    Args:
        network: From images `(N, H, W, C)` to object probability, distances and, perhaps, a foreground map; its weights
            may change afterwards.
        grid: Side of a cell in pixels.
        seam: Where the last layers begin.

    Returns:
        A function of the images (float32, sides multiples of the network's stride), of the requested window in them
        (top and left multiples of the seam's alignment) and of the lowest score. In the frame of that window it returns
        cells `(K, 3)` int64 (image, row, column), scores `(K,)`, distances `(K, n_rays)` and, if there is such a head,
        the foreground `(N, h, w)` uint8, see `in_bytes`.
    """
    body, heads = _compile_body(network, seam), _compile_heads(network, grid, seam)

    def run(images: tf.Tensor, window: Window, lowest: float) -> tuple[tf.Tensor, ...]:
        is_tile = window != Window.whole(images.shape[1:3])
        maps = body(images, is_tile)
        found = []
        for band in _bands(window, seam.alignment, _BAND // len(images)) if is_tile else [window]:
            cells, *others = heads(maps, tf.constant(band), tf.constant(lowest, tf.float32))
            found.append((tf.add(cells, [0, (band.top - window.top) // grid, 0]), *others))
        if len(found) == 1:
            return found[0]
        cells, scores, rays, *foreground = zip(*found, strict=True)
        return (*(tf.concat(parts, 0) for parts in (cells, scores, rays)), *(tf.concat(f, 1) for f in foreground))

    return run


def _bands(window: Window, alignment: int, pixels: int) -> Iterator[Window]:
    """Cut a window into equal bands of rows, of about so many pixels, which begin at multiples of the alignment."""
    count = max(ceil(window.shape[0] * window.shape[1] / max(pixels, 1)), 1)
    rows = ceil(window.shape[0] / count / alignment) * alignment
    for top in range(window.top, window.bottom, rows):
        yield window._replace(top=top, bottom=min(top + rows, window.bottom))


def _compile_body(network: keras.Model, seam: Seam) -> Callable[[tf.Tensor, bool], Sequence[tf.Tensor]]:
    """Compile what computes the maps of the seam from images, those of a tile in bands."""
    images = tf.TensorSpec((None, None, None, network.inputs[0].shape[-1]), tf.float32)
    # A dictionary, because a list of one map is returned as that map.
    maps = {str(number): each for number, each in enumerate(seam.maps)}
    model = keras.Model(network.inputs[0], maps)
    whole = _compiled(lambda images: list(model(images).values()), [images])
    if seam.split is None:
        return lambda images, in_bands: whole(images)
    first, rest = seam.split
    early, late = _compiled(first, [images]), _compiled(rest, [_spec(rest.inputs[0])])

    def body(images: tf.Tensor, in_bands: bool) -> Sequence[tf.Tensor]:
        if not in_bands:
            return whole(images)
        shape = images.shape[1:3]
        parts = []
        for band in _bands(Window.whole(shape), seam.alignment, _EARLY_BAND // len(images)):
            seen = band.grown(seam.alignment, shape)
            maps = zip(early(_rows(images, seen.top, seen.bottom)), seam.strides[1:], strict=False)
            rows = band.within(seen)
            parts.append([_rows(each, rows.top // side, rows.bottom // side) for each, side in maps])
        finest = [tf.concat(bands, 1) for bands in zip(*parts, strict=True)]
        return [images, *finest, *late(finest[-1])]

    return body


def _compile_heads(network: keras.Model, grid: int, seam: Seam) -> Callable[..., tuple[tf.Tensor, ...]]:
    """Compile what computes cells, scores, distances and foreground from the maps of the seam."""
    distances = network.get_layer("dist")
    outputs = {"features": distances.input, "scores": network.outputs[0]}
    n_rays = network.outputs[1].shape[-1]
    side = isqrt(distances.kernel.shape[-1] // n_rays)  # polygons per side of a cell of the features
    if len(network.outputs) > 2:
        outputs["foreground"] = network.outputs[2]
    heads = seam.heads or _without_origins(keras.Model(list(seam.maps), outputs))

    def run(maps: Sequence[tf.Tensor], window: tf.Tensor, lowest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        end = -(-window[2:] // seam.alignment) * seam.alignment
        shape = tf.shape(maps[0])[1:3] * seam.strides[0]
        lows = [tf.maximum(window[:2] - margin, 0) for margin in seam.margins]
        highs = [tf.minimum(end + margin, shape) for margin in seam.margins]
        places = zip(maps, lows, highs, seam.strides, strict=True)
        outcome = heads([_crop(each, low // side, high // side) for each, low, high, side in places], lows)
        start, stop = window[:2] - lows[0], window[2:] - lows[0]
        first = start // grid
        scores = _crop(outcome["scores"], first, -(-stop // grid))[..., 0]
        cells = tf.where(scores >= lowest)
        here = cells + tf.cast(tf.concat([[0], first], 0), tf.int64)
        in_features = here // [1, side, side]
        if seam.before_distances is None:
            features = tf.gather_nd(outcome["features"], in_features)
        else:
            features = _convolve_at(seam.before_distances, outcome["features"], in_features)
        rays = tf.matmul(features, distances.kernel[0, 0]) + distances.bias
        if side > 1:
            place = here[:, 1] % side * side + here[:, 2] % side
            rays = tf.gather(tf.reshape(rays, (-1, side**2, n_rays)), place, batch_dims=1)
        found = (cells, tf.gather_nd(scores, cells), rays)
        if "foreground" not in outcome:
            return found
        inside = _crop(outcome["foreground"], start, stop)[..., 0]
        return (*found, inside if inside.dtype == tf.uint8 else in_bytes(inside))

    maps = [_spec(each) for each in seam.maps]
    return _compiled(run, [maps, tf.TensorSpec((4,), tf.int32), tf.TensorSpec((), tf.float32)])


def _without_origins(layers: keras.Model) -> Callable[[Sequence[Any], Sequence[Any]], dict[str, Any]]:
    return lambda maps, origins: layers(maps)


def _compiled(function: Callable[..., Any], signature: Sequence[Any]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = tf.function(function, input_signature=signature, autograph=False)
    return compiled


def _spec(features: keras.KerasTensor) -> tf.TensorSpec:
    return tf.TensorSpec((None, None, None, features.shape[-1]), features.dtype)


def _rows(maps: tf.Tensor, top: int, bottom: int) -> tf.Tensor:
    """Return some rows; those of a single image share its memory, as TensorFlow's slices do along the first axis."""
    return maps[0][top:bottom][None] if len(maps) == 1 else maps[:, top:bottom]


def _crop(maps: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    return maps[:, low[0] : high[0], low[1] : high[1]]


def _convolve_at(convolution: keras.layers.Conv2D, features: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Compute a 3x3 convolution with padding `same` at some places only.

    Args:
        convolution: The layer.
        features: `(N, H, W, C)`.
        places: `(K, 3)` int64: image, row and column.

    Returns:
        `(K, filters)`.
    """
    last = tf.shape(features, tf.int64)[1:3] - 1
    total = tf.broadcast_to(convolution.bias, (tf.shape(places)[0], convolution.filters))
    for row in range(3):
        for column in range(3):
            # One after the other, so that the features of one neighbour at a time are in memory.
            with tf.control_dependencies([total]):
                place = tf.add(places, [0, row - 1, column - 1])
            inside = tf.clip_by_value(place[:, 1:], 0, last)
            found = tf.gather_nd(features, tf.concat([place[:, :1], inside], 1))
            is_inside = tf.reduce_all(inside == place[:, 1:], axis=1, keepdims=True)
            total += tf.matmul(tf.where(is_inside, found, 0), convolution.kernel[row, column])
    return convolution.activation(total)
