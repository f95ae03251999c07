"""The image that a program gives to a function: an array, a path or a URL."""

import reprlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.open import open_content
from nucseg.images.plane_choice import Plane
from nucseg.images.planes import Channel, choose_planes
from nucseg.images.scenes import Scene
from nucseg.images.source import ImageSource, array_source
from nucseg.images.stains import named_stain, stained


def given_image(image: Any, channel: Channel, choices: Plane, scene: Scene) -> tuple[ImageSource, Plane]:
    """Open one plane of an image.

    Args:
        image: `(H, W)` or `(H, W, C)`, or the path or URL of a file.
        channel: As of `open_image`.
        choices: As of `Content.chosen`; they must stand for one plane, and are empty for an array.
        scene: As of `open_image`; None for an array.

    Returns:
        The image, and the plane that was chosen.

    Raises:
        InputError: It is neither an array nor a file, is not one image, or has no such channel, plane or scene.
    """
    if isinstance(image, str | Path):
        content = open_content(image, scene)
        stack = content.chosen(choices, channel)
        plane = stack.only(content.name)
        source = content.image(channel, plane)
        return replace(source, notes=source.notes + stack.notes), plane
    for name, value in (("plane", choices), ("scene", scene)):
        if value not in ((), None):
            raise InputError(f"image: is an array, which has no {name} to choose; give the {name} as the array.")
    if not hasattr(image, "__array__"):
        raise InputError(
            f"image: {reprlib.repr(image)} is not an image; give an array, or the path or URL of an image."
        )
    array = np.asarray(image)
    if (stain := named_stain(channel)) is not None:
        return stained(array_source(array), stain), ()
    if channel is not None:
        planes = choose_planes("YXS"[: array.ndim], array.shape, "image", channel=channel)
        array = planes.take(array, Window.whole(planes.shape))
    return array_source(array), ()
