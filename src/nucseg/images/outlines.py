"""Outlines of regions from a GeoJSON file, as QuPath exports them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import points_in_poly

from nucseg.core.errors import InputError

_SHIFT = 4  # bits of a fraction of a pixel in OpenCV's coordinates


@dataclass(frozen=True)
class Outlines:
    """Polygons on an image.

    Attributes:
        file: Where they were read from.
        polygons: For each its outer ring and its holes, `(N, 2)` float64: row and column of pixel corners; the corner
            of the first pixel is (0, 0).
    """

    file: str
    polygons: tuple[tuple[NDArray[np.float64], ...], ...]

    @cached_property
    def boxes(self) -> NDArray[np.float64]:
        """Smallest row and column, and largest row and column, of each polygon, `(N, 4)`."""
        return np.array([[*rings[0].min(0), *rings[0].max(0)] for rings in self.polygons])

    def hold(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which points, `(N, 2)` like the rings, lie in a polygon and in none of its holes."""
        held = np.zeros(len(points), bool)
        for rings, box in zip(self.polygons, self.boxes, strict=True):
            near = np.flatnonzero(~held & (points >= box[:2]).all(1) & (points <= box[2:]).all(1))
            if len(near):
                inside = [points_in_poly(points[near], ring) for ring in rings]
                held[near] = np.logical_xor.reduce(inside)
        return held

    def cells(self, shape: tuple[int, int], image: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which cells of a grid they touch.

        Args:
            shape: (rows, columns) of the grid.
            image: (rows, columns) of the image, over which the grid is spread.
        """
        touched = np.zeros(shape, np.uint8)
        factors = np.divide(shape, image)
        for rings in self.polygons:
            # OpenCV counts from the centre of a pixel, and fills every pixel that an edge passes.
            scaled = [np.rint((ring * factors - 0.5)[:, ::-1] * 2**_SHIFT).astype(np.int32) for ring in rings]
            filled = np.zeros(shape, np.uint8) if len(rings) > 1 else touched
            cv2.fillPoly(filled, scaled, 1, shift=_SHIFT)
            touched |= filled
        return touched > 0


def read_outlines(path: Path) -> Outlines:
    """Read the polygons of a GeoJSON file; other geometries are left out.

    Args:
        path: A FeatureCollection, a feature, a geometry, or a list of these.

    Raises:
        InputError: It cannot be read, or holds no polygon.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        polygons = tuple(rings for geometry in _geometries(content) for rings in polygons_of(geometry))
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        why = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as GeoJSON ({why}); export it from QuPath again.") from error
    polygons = tuple(rings for rings in polygons if rings and all(len(ring) > 2 for ring in rings))
    if not polygons:
        raise InputError(f"{path}: holds no polygon; draw the regions as areas and export them as GeoJSON.")
    return Outlines(str(path), polygons)


def _geometries(content: Any) -> Iterator[dict[str, Any]]:
    if isinstance(content, list):
        for each in content:
            yield from _geometries(each)
    elif content["type"] == "FeatureCollection":
        yield from _geometries(content["features"])
    elif content["type"] == "GeometryCollection":
        yield from _geometries(content["geometries"])
    elif content["type"] == "Feature":
        if content["geometry"] is not None:
            yield from _geometries(content["geometry"])
    else:
        yield content


def polygons_of(geometry: dict[str, Any]) -> list[tuple[NDArray[np.float64], ...]]:
    """Return the polygons of a geometry of GeoJSON, as `Outlines` has them; none if it is not an area.

    Raises:
        ValueError, TypeError, KeyError, IndexError: Its coordinates are not numbers.
    """
    if geometry["type"] not in ("Polygon", "MultiPolygon"):
        return []
    found = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return [tuple(np.array(ring, float)[:, 1::-1] for ring in rings) for rings in found]
