"""QuPath's GeoJSON: nuclei as detections, or cells with their nuclei, with measurements."""

import io
import itertools
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from nucseg.core.files import atomic_file
from nucseg.inference.instances.stitched import LabelBlock
from nucseg.masks.polygons import outlines
from nucseg.measurements.field import Field
from nucseg.measurements.regions import context
from nucseg.measurements.table import measure

_NAMED = {"label", "score", "area", "area_um2"}
"""Columns of the table that have names of their own here."""


def write(field: Field, path: Path) -> None:
    """Write a FeatureCollection that QuPath (0.4 or newer) opens as detections, one feature per line.

    Each nucleus is the outer outline of its largest piece; where there are cells, each is a cell with the outline of
    its nucleus. Coordinates are as in `nucseg.masks.polygons`. Where channels are measured or there are cells, the
    measurements are the columns of the table, without those that have no value.
    Source: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html

    Args:
        field: The nuclei, and what is measured of them; measurement `Label` is the label.
        path: The file.
    """
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        _write(field, file)


def write_zip(field: Field, path: Path) -> None:
    """Write the same file into a zip, which QuPath opens like the file itself.

    Args:
        field: As of `write`.
        path: The zip.
    """
    with (
        atomic_file(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{Path(field.name).name}.geojson", "w", force_zip64=True) as stream,
        io.TextIOWrapper(stream, encoding="utf-8") as file,
    ):
        _write(field, file)


def _write(field: Field, file: TextIO) -> None:
    file.write('{"type": "FeatureCollection", "features": [')
    separator = "\n"
    for feature in _features(field):
        file.write(separator + json.dumps(feature))
        separator = ",\n"
    file.write("\n]}\n")


def _features(field: Field) -> Iterator[dict[str, Any]]:
    square = math.prod(field.source.pixel_size) if field.source.pixel_size else None
    tables = measure(field) if field.channels or field.expansion else itertools.repeat(None)
    for block, table in zip(field.nuclei.blocks(), tables, strict=False):
        areas = np.bincount(block.labels.ravel(), minlength=len(block.scores) + 1)[1:].tolist()
        rows = [{}] * len(areas) if table is None else table.drop(columns=[*_NAMED & {*table}]).to_dict("records")
        cells = _cells(field, block)
        for place, nucleus in enumerate(_rings(block.labels, block.window[:2])):
            if not nucleus:
                continue
            measurements = {
                "Label": block.first + place,
                "Score": float(block.scores[place]),
                "Area px^2": areas[place],
            }
            if square is not None:
                measurements["Area \u00b5m^2"] = areas[place] * square
            measurements |= {str(name): float(value) for name, value in rows[place].items() if math.isfinite(value)}
            feature: dict[str, Any] = {"type": "Feature", "geometry": _polygon(cells[place] if cells else nucleus)}
            if cells:
                feature["nucleusGeometry"] = _polygon(nucleus)
            feature["properties"] = {
                "objectType": "cell" if cells else "detection",
                "classification": {"name": "Nucleus", "color": [0, 158, 115]},
                "measurements": measurements,
            }
            yield feature


def _cells(field: Field, block: LabelBlock) -> list[list[list[float]]]:
    """Trace the cells of a block's nuclei; none where nuclei do not grow."""
    if field.cells is None:
        return []
    window = block.window.grown(context(field.expansion, field.spacing), field.nuclei.shape)
    labels = field.cells.labels(window) - (block.first - 1)
    labels[(labels < 1) | (labels > len(block.scores))] = 0
    return _rings(labels, window[:2])


def _rings(labels: NDArray[np.int32], corner: tuple[int, int]) -> list[list[list[float]]]:
    """Trace labels as rings of x and y in the whole image."""
    return [(outline[:, ::-1] + corner[::-1]).tolist() for outline in outlines(labels)]


def _polygon(ring: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring]}
