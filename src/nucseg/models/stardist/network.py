"""The networks of StarDist: the package's U-Net, or a decoder on a trunk pretrained on ImageNet."""

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from nucseg.models.backbones.efficientnet_lite import build_trunk, receptive_radius
from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.convolutions import Conv2D, convolve_together
from nucseg.models.stardist.foreground import add_foreground_head, in_bytes

if TYPE_CHECKING:
    from stardist.models import Config2D

_COARSEST = 16  # stride of the trunk's last level that the decoder sees
_FINEST = 2  # stride of the decoder's last level


@dataclass(frozen=True)
class Seam:
    """The cut of the network for prediction: the first part sees a tile and its halo, the second only its core.

    Attributes:
        maps: The features passed from the first part to the second.
        strides: Side in pixels of a cell of each map.
        alignment: Pixels; the window of the second part begins and ends at multiples of it.
        margins: Pixels of each map that the second part needs around the requested window, multiples of the stride.
        heads: What computes the last layers more quickly, from the maps and the row and column of the image `(2,)` at
            which each of them begins, to `features` (what `dist`, or the layer before it, sees), `scores` and
            `foreground`, in bytes, which begin where the first map does; None: the layers as they are, which need all
            maps with the same margin.
        split: The first part in two: the layers of the finest cells, from images to the maps that follow the images
            themselves, which see less than `alignment` beyond a cell; and the rest, from the last of these maps to the
            remaining ones. None: it is not split.
        before_distances: The 3x3 convolution between these features and `dist`, which is then computed only for cells
            with a sufficient score; None: there is none.
    """

    maps: tuple[keras.KerasTensor, ...]
    strides: tuple[int, ...]
    alignment: int
    margins: tuple[int, ...]
    heads: Callable[[Sequence[Any], Sequence[Any]], dict[str, Any]] | None = None
    split: tuple[keras.Model, keras.Model] | None = None
    before_distances: keras.layers.Conv2D | None = None


@dataclass(frozen=True)
class StarDistNetwork:
    """A network, with the properties needed to run it in tiles.

    Attributes:
        model: From images `(N, H, W, in_channels)` to object probability `(N, H/grid, W/grid, 1)`, distances `(N,
            H/grid, W/grid, n_rays)` and, with a foreground head, the foreground `(N, H, W, 1)`. The layers of the first
            two are named `prob` and `dist`.
        polygons: The same layers without the foreground head.
        seam: The cut for prediction.
        stride: Pixels; sides and origins of tiles are multiples of it.
        halo: Pixels of context that a tile needs around what it owns.
        max_side: Pixels a side of the largest image that is run at once; it bounds the memory.
    """

    model: keras.Model
    polygons: keras.Model
    seam: Seam
    stride: int
    halo: int
    max_side: int


def build_network(config: StarDistConfig) -> StarDistNetwork:
    """Build the network that a configuration describes, with random weights."""
    return _unet(config) if config.backbone == "unet" else _on_trunk(config)


def stardist_config(config: StarDistConfig) -> "Config2D":
    """Convert to the configuration of the `stardist` package."""
    from stardist.models import Config2D

    network = {name: value for name, value in config.architecture().items() if name.startswith(("n_", "unet_", "net_"))}
    return Config2D(n_channel_in=config.in_channels, grid=(config.grid, config.grid), **network)


def _unet(config: StarDistConfig) -> StarDistNetwork:
    from stardist.models import StarDist2D  # needs TensorFlow; a network on a trunk does not

    with contextlib.redirect_stdout(io.StringIO()):  # the package prints its default thresholds
        polygons: keras.Model = StarDist2D(stardist_config(config), basedir=None).keras_model
    model = add_foreground_head(polygons, config.grid, config.refine_filters) if config.refine_radius else polygons
    features = model.get_layer("prob").input
    maps, strides = [next(layer.input for layer in model.layers if layer.output is features)], [config.grid]
    if config.refine_radius:
        maps.append(model.get_layer("foreground_joined").input[1])  # the features of the first layers
        strides.append(1)
    return StarDistNetwork(
        model=model,
        polygons=polygons,
        # For the convolution that computes the features, and the foreground head's at full resolution.
        seam=Seam(tuple(maps), tuple(strides), config.grid, margins=(2 * config.grid,) * len(maps)),
        stride=config.grid * 2**config.unet_n_depth,
        halo=_unet_halo(config),
        max_side=1504 if config.refine_radius else 2048,
    )


def _unet_halo(config: StarDistConfig) -> int:
    """Compute the radius of the network's receptive field in pixels, rounded up to the stride.

    It follows the longest way back through the network, through the U-Net's lowest level, from every position that a
    grid cell can have relative to the lowest level's cells. A 3x3 convolution sees one cell further to each side.
    """
    convolutions, depth, grid = config.unet_n_conv_per_depth, config.unet_n_depth, config.grid
    radius = 0
    for cell in range(2**depth):
        low = high = cell
        if config.net_conv_after_unet:
            low, high = low - 1, high + 1
        for _ in range(depth):
            low, high = (low - convolutions) // 2, (high + convolutions) // 2
        low, high = low - convolutions, high + convolutions
        for _ in range(depth + grid.bit_length() - 1):
            low, high = 2 * low - convolutions, 2 * high + 1 + convolutions
        radius = max(radius, grid * cell - low, high - grid * cell)
    if config.refine_radius:  # a convolution at full resolution over the neighbouring cells
        radius += grid
    stride = grid * 2**depth
    return -(-radius // stride) * stride


def _on_trunk(config: StarDistConfig) -> StarDistNetwork:
    """Build a decoder from the trunk's levels up to the grid; no layer works at the resolution of the image.

    A level of the decoder upsamples the one below by nearest neighbour and concatenates the trunk's level (Lin et al.
    2017, https://arxiv.org/abs/1612.03144; Ronneberger et al. 2015). The image itself is concatenated to the last one,
    with each 2 x 2 pixels as one cell; in the same way each cell holds the foreground logits of its pixels and, at a
    grid of 1, their polygons (sub-pixel convolution, Shi et al. 2016, https://arxiv.org/abs/1609.05158). With a
    foreground head the scores come from its features, so that those of the distances, which are many, are needed only
    where there may be a nucleus.
    """
    layers = keras.layers
    images = keras.Input((None, None, config.in_channels))
    trunk = build_trunk(config.in_channels, _COARSEST)
    levels = trunk(images)
    coarsest, *filters = config.decoder_filters
    decoder = [_convolution(coarsest, "decoder0")]
    decoder += [_convolution(each, f"decoder{number}", Conv2D) for number, each in enumerate(filters, start=1)]

    def decode(pixels: Any, levels: Sequence[Any], cut: Callable[[Any, int], Any] = lambda x, level: x) -> Any:
        x = decoder[0](levels[-1])
        for number, convolution in enumerate(decoder[1:], start=1):
            x = cut(x, len(filters) - number)
            finer = [levels[-1 - number]]
            if number == len(filters):
                finer.append(keras.ops.space_to_depth(pixels, _FINEST))
            x = convolution([x, *finer])
        return x

    x = decode(images, levels)
    features = _convolution(config.net_conv_after_unet, "features")(x) if config.net_conv_after_unet else x
    inside = _convolution(config.refine_filters, "foreground_features")(x) if config.refine_radius else features
    side = _FINEST // config.grid  # polygons per side of a cell
    outputs = [
        layers.Conv2D(side**2, 1, activation="sigmoid", name="prob")(inside),
        layers.Conv2D(side**2 * config.n_rays, 1, name="dist")(features),
    ]
    if side > 1:
        outputs = [keras.ops.depth_to_space(output, side) for output in outputs]
    polygons = keras.Model(images, outputs)
    if config.refine_radius:
        logits = layers.Conv2D(_FINEST**2, 1, name="foreground_logits")(inside)
        pixels = keras.ops.depth_to_space(logits, _FINEST)
        outputs.append(layers.Activation("sigmoid", name="foreground")(pixels))
    # From the border of the requested window, each 3x3 convolution sees one of its cells further: that of the last
    # common features or the foreground's, and that of each level.
    strides = [_FINEST * 2**number for number in range(len(config.decoder_filters))]
    margins = [_FINEST + sum(strides[: number + 1]) for number in range(len(strides))]
    model = keras.Model(images, outputs)
    named = model.get_layer

    def heads(maps: Sequence[Any], origins: Sequence[Any]) -> dict[str, Any]:
        pixels, *levels = maps

        def cut(x: Any, level: int) -> Any:
            """Cut the features of the next coarser level to the place of a level, which needs less of a margin."""
            top, left = keras.ops.unstack((origins[level + 1] - origins[level + 2]) // strides[level + 1])
            height, width = (length // 2 for length in keras.ops.shape(levels[level])[1:3])
            return x[:, top : top + height, left : left + width]

        x = decode(pixels, levels, cut)
        inside = named("foreground_features")(x)
        scores, logits = convolve_together([named("prob"), named("foreground_logits")], inside)
        return {
            "features": x,
            "scores": keras.ops.depth_to_space(scores, side) if side > 1 else scores,
            "foreground": keras.ops.depth_to_space(in_bytes(named("foreground")(logits)), _FINEST),
        }

    return StarDistNetwork(
        model=model,
        polygons=polygons,
        seam=Seam(
            (images, *levels),
            (1, *strides),
            alignment=_COARSEST,
            margins=(margins[0], *margins) if config.refine_radius else (margins[-1],) * (1 + len(margins)),
            heads=heads if config.refine_radius else None,
            split=(
                keras.Model(trunk.inputs[0], trunk.outputs[:2]),
                keras.Model(trunk.outputs[1], trunk.outputs[2:]),
            ),
            before_distances=named("features") if config.refine_radius and config.net_conv_after_unet else None,
        ),
        stride=_COARSEST,
        halo=-(-(margins[-1] + receptive_radius(_COARSEST)) // _COARSEST) * _COARSEST,
        max_side=2112,
    )


def _convolution(filters: int, name: str, kind: type[keras.layers.Conv2D] = keras.layers.Conv2D) -> Any:
    return kind(filters, 3, padding="same", activation="relu", name=name)
