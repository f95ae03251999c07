"""COCO's annotations of one or several images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from nucseg.core.errors import InputError


def read(document: dict[str, Any], shape: tuple[int, int], name: str, image: str) -> Iterator[NDArray[np.intp]]:
    """Read the pixels of each annotation of an image: polygons and run lengths, compressed or not.

    Source: https://cocodataset.org/#format-data

    Args:
        document: The content of the file.
        shape: `(H, W)` of the image.
        name: Name of the file for messages.
        image: Name of the image without its suffix; in a file of one image, that one is meant.

    Raises:
        InputError: The image is not in the file, or has another size there, or an annotation has no outline.
    """
    try:
        images = [(each["id"], Path(each.get("file_name", "")).stem, each) for each in document["images"]]
        found = [entry for entry in images if entry[1] == image] or (images if len(images) == 1 else [])
        if not found:
            raise InputError(
                f"{name}: has no image named {image!r}, only {', '.join(stem for _, stem, _ in images[:5])}."
            )
        number, _, entry = found[0]
        height, width = int(entry["height"]), int(entry["width"])
        mine = [each for each in document["annotations"] if each["image_id"] == number]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{name}: is not COCO ({error!r} is missing or wrong). Export it again.") from error
    if (height, width) != shape:
        raise InputError(
            f"{name}: was made for an image of {width} x {height} pixels, {image} has {shape[1]} x {shape[0]}."
        )
    for each in mine:
        yield _pixels(each, shape, f"{name}: annotation {each.get('id')}")


def _pixels(annotation: dict[str, Any], shape: tuple[int, int], name: str) -> NDArray[np.intp]:
    outline = annotation.get("segmentation")
    if not outline:
        raise InputError(f"{name}: has no segmentation; a box alone is not an outline.")
    try:
        encoded = outline
        if not (isinstance(outline, dict) and isinstance(outline["counts"], str | bytes)):
            encoded = coco_mask.frPyObjects(outline, *shape)
        mask = coco_mask.decode(coco_mask.merge(encoded) if isinstance(encoded, list) else encoded)
    except Exception as error:  # the package raises whatever its parsing meets
        raise InputError(f"{name}: its segmentation cannot be read ({error}). Export it again.") from error
    if mask.shape != shape:
        raise InputError(f"{name}: its mask has the shape {mask.shape}, the image {shape}.")
    pixels: NDArray[np.intp] = np.flatnonzero(mask)
    return pixels
