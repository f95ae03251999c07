"""QuPath's GeoJSON: nuclei as detections, or cells with their nuclei, with measurements."""

import io
import itertools
import json
import math
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from nucseg.core.files import atomic_file
from nucseg.images.plane_choice import coordinates
from nucseg.inference.instances.stitched import LabelBlock
from nucseg.masks.polygons import outlines
from nucseg.measurements.field import Field
from nucseg.measurements.regions import context
from nucseg.measurements.table import measure

_NAMED = {"label", "score", "area", "area_um2"}
"""Columns of the table that have names of their own here."""


def write(field: Field, path: Path) -> None:
    """Write the nuclei of one plane; see `write_stack`."""
    write_stack([field], path)


def write_zip(field: Field, path: Path) -> None:
    """Write the same into a zip; see `write_zipped_stack`."""
    write_zipped_stack([field], path)


def write_stack(fields: Sequence[Field], path: Path) -> None:
    """Write a FeatureCollection that QuPath (0.4 or newer) opens as detections, one feature per line.

    Each nucleus is the outer outline of its largest piece; where there are cells, each is a cell with the outline of
    its nucleus. Coordinates are as in `nucseg.masks.polygons`. Where channels are measured or there are cells, the
    measurements are the columns of the table, without those that have no value.
    Source: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html

    Args:
        fields: The planes: the nuclei, and what is measured of them; measurement `Label` is the label.
        path: The file.
    """
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        _write(fields, file)


def write_zipped_stack(fields: Sequence[Field], path: Path) -> None:
    """Write the same file into a zip, which QuPath opens like the file itself.

    Args:
        fields: As of `write_stack`.
        path: The zip.
    """
    with (
        atomic_file(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{Path(fields[0].name).name}.geojson", "w", force_zip64=True) as stream,
        io.TextIOWrapper(stream, encoding="utf-8") as file,
    ):
        _write(fields, file)


def _write(fields: Sequence[Field], file: TextIO) -> None:
    file.write('{"type": "FeatureCollection", "features": [')
    separator = "\n"
    for feature in itertools.chain.from_iterable(map(_features, fields)):
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
        numbers = field.numbered(np.arange(block.first, block.first + len(areas), dtype=np.int32)).tolist()
        for place, nucleus in enumerate(_rings(block.labels, block.window[:2])):
            if not nucleus:
                continue
            measurements = {
                "Label": numbers[place],
                "Score": float(block.scores[place]),
                "Area px^2": areas[place],
            }
            if square is not None:
                measurements["Area \u00b5m^2"] = areas[place] * square
            measurements |= {str(name): float(value) for name, value in rows[place].items() if math.isfinite(value)}
            feature: dict[str, Any] = {
                "type": "Feature",
                "geometry": _polygon(field, cells[place] if cells else nucleus),
            }
            if cells:
                feature["nucleusGeometry"] = _polygon(field, nucleus)
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


def _polygon(field: Field, ring: list[list[float]]) -> dict[str, Any]:
    place = coordinates(field.plane)
    # QuPath's own member; -1 stands for all channels.
    plane = {"plane": {"c": -1, "z": place.get("z", 0), "t": place.get("t", 0)}} if place else {}
    return {"type": "Polygon", "coordinates": [ring], **plane}
