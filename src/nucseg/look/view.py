"""What the page shows of one image: its channels, and its nuclei with their measurements."""

import base64
import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.core.words import counted
from nucseg.images.channels import canonical_channels
from nucseg.masks.labels import make_whole
from nucseg.masks.polygons import outlines
from nucseg.measurements.field import Field
from nucseg.measurements.table import measure

LARGEST = 2**24
"""Pixels of an image that the page shows, all channels together."""

MOST = 20_000
"""Nuclei that the page shows in one image."""

_RANGE = (0.05, 99.95)  # percentiles of a channel's pixels between which its contrast can be chosen
_COLOURS = {1: ["#ffffff"], 3: ["#ff0000", "#00ff00", "#0000ff"]}
# Of channels in fluorescence, by Okabe and Ito: every two of them differ for colour-blind eyes, too.
_FLUORESCENT = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#0072b2"]
_DIGITS = 5  # of a measurement that is shown


def view_of(field: Field) -> dict[str, Any]:
    """Return what the page needs of a field; JSON types only.

    Args:
        field: One plane of an image. Of each nucleus its largest piece is shown, without holes.

    Returns:
        `name`, `height`, `width`, `pixel_size` (micrometres of a row and a column, or None), `channels` (`name`,
        `colour`, the stored values `low` and `high` that become 0 and 255, `pixels`: base64 of `(H, W)` uint8) and
        `nuclei`: `rings` (x and y of the corners of each outline, alternating, as in `nucseg.masks.polygons`), `scores`
        and `columns` (the measurements by name).

    Raises:
        InputError: The image has several planes, or is too large, or has too many nuclei.
    """
    name = field.source.name
    if field.axes:
        raise InputError(f"{name}: has several planes; predict the one to look at (`nucseg predict --plane`).")
    check_size(field)
    channels = _channels(field)
    rings, scores = [], []
    for block in field.nuclei.blocks():
        found = outlines(make_whole(block.labels))
        rings += [(ring[:-1, ::-1] + block.window[1::-1]).astype(int).ravel().tolist() for ring in found]
        scores += block.scores.tolist()
    table = pd.concat(measure(field), ignore_index=True)
    return {
        "name": field.name,
        "height": field.nuclei.shape[0],
        "width": field.nuclei.shape[1],
        "pixel_size": field.source.pixel_size,
        "channels": channels,
        "nuclei": {
            "rings": rings,
            "scores": [_short(score) for score in scores],
            "columns": {str(column): [_short(value) for value in values] for column, values in table.items()},
        },
    }


def check_size(field: Field) -> None:
    """Refuse what is too much for a browser.

    Raises:
        InputError: The image is too large, or has too many nuclei.
    """
    height, width = field.nuclei.shape
    count = len(field.channels) or len(field.source.channels[:3])
    remedy = "cut out a part, or use QuPath with `--format geojson`"
    if height * width * count > LARGEST:
        raise InputError(
            f"{field.source.name}: {width} x {height} pixels of {counted(count, 'channel')} are more "
            f"than the page shows ({LARGEST}); {remedy}."
        )
    if len(field.nuclei) > MOST:
        raise InputError(
            f"{field.source.name}: {len(field.nuclei)} nuclei are more than the page shows ({MOST}); {remedy}."
        )


def _channels(field: Field) -> list[dict[str, Any]]:
    whole = Window.whole(field.nuclei.shape)
    if field.channels:
        planes = {channel.name: channel.source.read(whole) for channel in field.channels}
        colours = _COLOURS[1] if len(planes) == 1 else _FLUORESCENT
        return [
            _channel(name, plane, _limits(plane), colours[number % len(colours)])
            for number, (name, plane) in enumerate(planes.items())
        ]
    image = canonical_channels(field.source.read(whole))
    if image.ndim == 2:
        return [_channel("intensity", image, _limits(image), _COLOURS[1][0])]
    # Equal limits, so that hues stay the same.
    limits = _limits(image)
    named = zip(("red", "green", "blue"), _COLOURS[3], strict=True)
    return [_channel(name, image[..., number], limits, colour) for number, (name, colour) in enumerate(named)]


def _limits(image: NDArray) -> tuple[float, float]:
    if image.dtype == np.uint8:
        return 0.0, 255.0
    if image.dtype == np.bool_:
        return 0.0, 1.0
    finite = image[np.isfinite(image)] if image.dtype.kind == "f" else image
    low, high = np.percentile(finite, _RANGE) if finite.size else (0.0, 1.0)
    return float(low), float(high) if high > low else float(low) + 1


def _channel(name: str, plane: NDArray, limits: tuple[float, float], colour: str) -> dict[str, Any]:
    low, high = limits
    scaled = (plane.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    pixels = np.nan_to_num(scaled.clip(0, 255)).round().astype(np.uint8)
    return {
        "name": name,
        "colour": colour,
        "low": low,
        "high": high,
        "pixels": base64.b64encode(pixels.tobytes()).decode(),
    }


def _short(value: Any) -> int | float | bool | None:
    """Return a number with few digits; None for one that is missing."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
