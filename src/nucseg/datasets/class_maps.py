"""Class maps: one class a pixel, read from a file or made of a label image."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.types import VOID
from nucseg.datasets.annotations import geojson
from nucseg.images.io import decode_labels


def of_nuclei(labels: NDArray) -> NDArray[np.uint8]:
    """Return the class map of a label image: nuclei are of class 1, the rest of class 0."""
    return (labels > 0).astype(np.uint8)


def read_class_map(path: Path, name: str) -> NDArray[np.int32]:
    """Read a class map from a file; see `decode_class_map`."""
    with path.open("rb") as stream:
        return decode_class_map(stream, path.name, name)


def decode_class_map(stream: BinaryIO, file: str, name: str) -> NDArray[np.int32]:
    """Read the numbers of classes from a PNG or TIFF: grey values, or the indices of a palette.

    Args:
        stream: The file.
        file: Its name, for errors.
        name: Name of the sample, for errors.

    Returns:
        `(H, W)` int32, as stored; see `check_classes`.

    Raises:
        InputError: It is unreadable, in colour without a palette, or a mask of 0 and 255.
    """
    try:
        classes = decode_labels(stream, file)
    except InputError as error:
        raise InputError(
            f"{name}: {file} is no class map, which is an image of class numbers, grey or with a palette ({error})"
        ) from error
    if set(np.unique(classes)) == {0, VOID}:
        raise InputError(
            f"{name}: {file} holds 0 and {VOID} alone, where {VOID} is void: this is a mask. Save its areas as 1."
        )
    return classes


def check_classes(classes: NDArray, image: NDArray, name: str, names: Sequence[str]) -> NDArray[np.uint8]:
    """Check a class map.

    Args:
        classes: `(H, W)`, of any integer dtype.
        image: `(H, W)` or `(H, W, C)`.
        name: Name of the sample.
        names: Names of the classes, from 0 on.

    Raises:
        InputError: It is of another size than the image, has a class without a name, or is void in every pixel.
    """
    if classes.shape != image.shape[:2]:
        raise InputError(
            f"{name}: the image has {image.shape[:2]} (rows, columns) and its class map {classes.shape}; they must be "
            "equal."
        )
    found = np.unique(classes)
    unnamed = [int(number) for number in found if number != VOID and not 0 <= number < len(names)]
    if unnamed:
        raise InputError(
            f"{name}: its class map has the value{'s' if len(unnamed) > 1 else ''} "
            f"{', '.join(map(str, unnamed[:5]))}{', ...' if len(unnamed) > 5 else ''}, but the classes are 0 to "
            f"{len(names) - 1} ({', '.join(names)}) and {VOID} (void). Name every class, from 0 "
            "on."
        )
    if found.tolist() == [VOID]:
        raise InputError(f"{name}: every pixel of its class map is void.")
    return classes.astype(np.uint8)


def read_outlined(path: Path, shape: tuple[int, int], name: str, names: Sequence[str]) -> NDArray[np.int32]:
    """Read outlined areas from GeoJSON, as QuPath writes it: the class of an annotation is its classification.

    What lies in no area is void. An area of class 0 says that all that is outlined in it is outlined: the areas of
    other classes lie over it.

    Args:
        path: The file.
        shape: `(H, W)` of the image.
        name: Name of the sample, for errors.
        names: Names of the classes, from 0 on.

    Returns:
        The class map `(H, W)` int32.

    Raises:
        InputError: It is unreadable, of an image of another size, or an area has no class or one without a name here.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{name}: {path.name} cannot be read as GeoJSON ({error}). Export it again.") from error
    areas = list(geojson.read(document, shape, path.name))
    features = document.get("features", [document]) if isinstance(document, dict) else document
    numbers = [_class_of(feature, number, path.name, names) for number, feature in enumerate(features, start=1)]
    classes = np.full(shape, VOID, np.int32)
    for number, pixels in sorted(zip(numbers, areas, strict=True), key=lambda each: each[0] > 0):
        classes.ravel()[pixels] = number
    return classes


def _class_of(feature: dict[str, Any], number: int, file: str, names: Sequence[str]) -> int:
    properties = feature.get("properties")
    classification = properties.get("classification") if isinstance(properties, dict) else None
    found = classification.get("name") if isinstance(classification, dict) else None
    if found not in names:
        given = "no class" if found is None else f"the class {found!r}"
        raise InputError(f"{file}: feature {number} has {given}; give it one of {', '.join(names)}.")
    return names.index(found)
