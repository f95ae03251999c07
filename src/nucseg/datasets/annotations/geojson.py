"""GeoJSON as QuPath writes it, and as `nucseg` does."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.datasets.annotations.polygons import pixels_inside
from nucseg.images.outlines import polygons_of


def read(document: Any, shape: tuple[int, int], name: str) -> Iterator[NDArray[np.intp]]:
    """Read the pixels of each feature: polygons, also with holes and of several parts; of cells, the nucleus.

    Source: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html

    Args:
        document: A FeatureCollection, a list of features or one feature.
        shape: `(H, W)` of the image.
        name: Name of the file for messages.

    Raises:
        InputError: It is not GeoJSON, or of an image of another size, or a feature is not an area.
    """
    features = _features(document)
    if not isinstance(features, list) or not all(isinstance(each, dict) for each in features):
        raise InputError(f"{name}: is neither GeoJSON nor COCO. Export the outlines again.")
    _check_size(document, shape, name)
    for number, feature in enumerate(features, start=1):
        each = f"{name}: feature {number}"
        geometry = feature.get("nucleusGeometry") or feature.get("geometry")
        if not isinstance(geometry, dict):
            raise InputError(f"{each}: has no geometry; this is not GeoJSON of outlines. Export it again.")
        try:
            polygons = polygons_of(geometry)
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise InputError(f"{each}: its coordinates are not numbers ({error}). Export it again.") from error
        if not polygons:
            kind = geometry.get("type")
            raise InputError(f"{each}: is a {kind}, not an area. Outline nuclei as polygons, or remove it.")
        yield pixels_inside([ring[:, ::-1] for rings in polygons for ring in rings], shape, each)


def object_types(document: Any) -> list[str]:
    """Return QuPath's type of each feature of what `read` takes, such as `annotation` or `cell`; empty without one."""
    return [_object_type(feature) for feature in _features(document)]


def _object_type(feature: dict[str, Any]) -> str:
    properties = feature.get("properties")
    given = properties if isinstance(properties, dict) else {}
    # QuPath 0.2 wrote PathAnnotationObject as the id, 0.3 object_type.
    named = str(given.get("objectType") or given.get("object_type") or feature.get("id") or "").lower()
    return next((kind for kind in ("annotation", "detection", "cell") if kind in named), "")


def _features(document: Any) -> Any:
    return document.get("features", [document]) if isinstance(document, dict) else document


def _check_size(document: Any, shape: tuple[int, int], name: str) -> None:
    """Refuse outlines of an image of another size, if the file says of which; `nucseg look` does."""
    image = document.get("image") if isinstance(document, dict) else None
    size = (image.get("height"), image.get("width")) if isinstance(image, dict) else (None, None)
    if None not in size and size != shape:
        raise InputError(
            f"{name}: was made for an image of {size[1]} x {size[0]} pixels, the image has {shape[1]} x {shape[0]}."
        )
