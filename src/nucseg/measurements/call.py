"""What `nucseg.measure` does."""

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from nucseg.core.checks import check_label_image, check_unmasked
from nucseg.core.errors import InputError
from nucseg.core.types import Instances
from nucseg.core.validation import checked
from nucseg.images.content import Content
from nucseg.images.open import open_content
from nucseg.images.plane_choice import Plane, PlaneChoices
from nucseg.images.scenes import Scene
from nucseg.images.source import ImageSource, array_source
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.masks.labels import relabel
from nucseg.masks.numbering import check_numbered
from nucseg.measurements import field
from nucseg.measurements.channels import Measures, channel_texts, choose_channels, open_channels
from nucseg.measurements.sizes import Size, checked_pixel_size, length_in_pixels
from nucseg.measurements.table import measure


class MeasureOptions(BaseModel):
    """What is measured, and how; see `nucseg.measure`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: Measures
    expand: Size | None
    pixel_size: tuple[float, float] | None
    plane: PlaneChoices


def measure_options(channels: Any, expand: Any, pixel_size: Any, plane: Any) -> MeasureOptions:
    """Return the arguments of `nucseg.measure`, checked.

    Raises:
        ConfigError: One is not allowed.
    """
    return checked(
        MeasureOptions,
        {
            "channels": channel_texts(channels, "channels"),
            "expand": expand,
            "pixel_size": checked_pixel_size(pixel_size),
            "plane": plane,
        },
    )


def measure_image(
    labels: Any,
    image: Any,
    channels: str | int | Sequence[str | int],
    expand: float | str | None,
    pixel_size: float | tuple[float, float] | None,
    *,
    plane: str | Sequence[str] = (),
    scene: str | int | None = None,
    scores: NDArray[np.float32] | None = None,
) -> pd.DataFrame:
    """Measure nuclei; see `nucseg.measure`.

    Args:
        labels: As there.
        image: As there.
        channels: As there.
        expand: As there.
        pixel_size: As there.
        plane: As there.
        scene: As there.
        scores: `(N,)`, by label, if they become a column.
    """
    options = measure_options(channels, expand, pixel_size, plane)
    check_unmasked(labels, "labels")
    labels = np.asarray(labels)
    check_label_image(labels, "labels")
    source, found = given_channels(image, options.channels, options.plane, scene)
    if source.shape[:2] != labels.shape:
        raise InputError(
            f"labels: shape {labels.shape} does not fit the image's {source.shape[:2]}; give one of its size."
        )
    if scores is None:  # what was predicted is numbered
        check_numbered(labels, "labels")
    if options.pixel_size:
        source = replace(source, pixel_size=options.pixel_size)
    expansion = length_in_pixels(options.expand, source.pixel_size, "expand", source.name) if options.expand else 0.0
    numbers = np.unique(labels[labels > 0])
    nuclei = Instances(relabel(labels), np.ones(len(numbers), np.float32) if scores is None else scores)
    rows = pd.concat(
        measure(field.Field(StitchedLabels.of(nuclei), source, source.name, found, expansion)), ignore_index=True
    )
    rows["label"] = numbers[rows["label"] - 1].astype(np.int64)
    return rows if scores is not None else rows.drop(columns="score")


def given_channels(
    image: Any, chosen: Sequence[str], choices: Plane, scene: Scene
) -> tuple[ImageSource, tuple[field.MeasuredChannel, ...]]:
    """Open the channels of an array, of several arrays or of a file, and what stands for the image itself."""
    if isinstance(image, str | Path):
        content = open_content(image, scene)
        plane = content.chosen(choices, 0).only(content.name)
        source = content.image(0, plane)

        def opened(file: str) -> Content:
            return content if file == str(image) else open_content(file)

        return source, open_channels(chosen, str(image), source, plane, opened)[0]
    if choices or scene is not None:
        raise InputError("image: is no file, so it has no plane or scene to choose; give the plane as the array.")
    if isinstance(image, Mapping):
        named = {str(name): _plane(pixels, str(name)) for name, pixels in image.items()}
        if len(named) < len(image):
            raise InputError(
                f"image: several of its channels, {', '.join(map(repr, image))}, have one name as text; give each "
                "its own."
            )
        colours = None
    else:
        array = _array(image, "image")
        planes = [array] if array.ndim == 2 else np.moveaxis(array, -1, 0)
        named = {str(number): _plane(plane, "image") for number, plane in enumerate(planes)}
        colours = array if len(planes) in (3, 4) and array.ndim == 3 else None
    if not named or len({source.shape for source in named.values()}) > 1:
        raise InputError("image: holds no channels, or channels of several sizes; give images of one field.")
    return next(iter(named.values())), choose_channels(chosen, named, colours)


def _plane(pixels: Any, name: str) -> ImageSource:
    array = _array(pixels, name)
    if array.ndim != 2:
        raise InputError(f"{name}: shape {array.shape} is not a channel; allowed is (rows, columns).")
    return array_source(array, name)


def _array(image: Any, name: str) -> NDArray:
    if not hasattr(image, "__array__"):
        raise InputError(
            f"{name}: {reprlib.repr(image)} is not an image; give an array, or the path or URL of an image."
        )
    check_unmasked(image, name)
    array = np.asarray(image)
    if array.ndim not in (2, 3):
        raise InputError(f"{name}: shape {array.shape} is not an image; allowed are (rows, columns[, channels]).")
    return array
