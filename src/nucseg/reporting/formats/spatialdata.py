"""SpatialData: the label image and the table of the nuclei as a Zarr store that the package of that name reads."""

from pathlib import Path
from typing import Any

import numpy as np
import zarr

from nucseg.core.files import atomic_folder
from nucseg.core.package import VERSION
from nucseg.measurements.field import Field
from nucseg.measurements.table import measure
from nucseg.reporting.formats.ome_zarr import LABELS, label_axes, write_label_pyramid

TABLE = "table"
"""The name of the table."""

_INSTANCE, _REGION = "label", "region"
_ROWS = 2**14  # of a chunk of the table


def write(field: Field, path: Path) -> None:
    """Write a store with the labels `nuclei` and the table `table`, whose rows are annotations of these labels.

    Coordinates are in pixels (`global`) and, if the pixel size is known, in micrometres (`micrometer`). The layout is
    that of SpatialData's container format 0.2 and raster format 0.3, and of AnnData 0.1.0; SpatialData itself is not
    needed, for it does not go with the versions of other packages.

    Args:
        field: The nuclei, and what is measured of them: the columns of the table.
        path: The folder.
    """
    with atomic_folder(path) as temporary:
        root = zarr.open_group(temporary, mode="w", zarr_format=3)
        root.attrs["spatialdata_attrs"] = {"version": "0.2", "spatialdata_software_version": f"nucseg {VERSION}"}
        labels = root.create_group("labels")
        labels.attrs["ome"] = {"labels": [LABELS]}
        _write_labels(labels.create_group(LABELS), field)
        _write_table(root.create_group("tables").create_group(TABLE), field)


def _write_labels(group: zarr.Group, field: Field) -> None:
    sizes = write_label_pyramid(group, field)
    axes = label_axes(None)
    systems: dict[str, dict[str, Any]] = {"global": {"type": "identity"}}
    if field.source.pixel_size:
        systems["micrometer"] = {"type": "scale", "scale": list(field.source.pixel_size)}
    places = [{**axis, "unit": "unit"} for axis in axes]
    group.attrs["ome"] = {
        "version": "0.5-dev-spatialdata",
        "multiscales": [
            {
                "name": LABELS,
                "axes": axes,
                "datasets": [
                    {
                        "path": str(level),
                        "coordinateTransformations": [
                            {"type": "scale", "scale": [full / here for full, here in zip(sizes[0], size, strict=True)]}
                        ],
                    }
                    for level, size in enumerate(sizes)
                ],
                "coordinateTransformations": [
                    {
                        **transform,
                        "input": {"name": "yx", "axes": places},
                        "output": {"name": name, "axes": places},
                    }
                    for name, transform in systems.items()
                ],
            }
        ],
    }
    group.attrs["spatialdata_attrs"] = {"version": "0.3"}


def _write_table(group: zarr.Group, field: Field) -> None:
    """Write the table as AnnData: measurements in `X`, the label of each row in `obs`."""
    facts = {"region": LABELS, "region_key": _REGION, "instance_key": _INSTANCE}
    _describe(group, "anndata", "0.1.0")
    group.attrs.update({"spatialdata-encoding-type": "ngff:regions_table", "version": "0.2", **facts})
    count, done = len(field.nuclei), 0
    numbers = np.zeros(count, np.int64)
    pixels: Any = None
    for frame in measure(field):
        values = frame.drop(columns=_INSTANCE).astype(np.float64)
        if pixels is None:
            shape = (count, values.shape[1])
            pixels = group.create_array("X", shape=shape, chunks=(_ROWS, shape[1]), dtype=np.float64)
            _describe(pixels, "array", "0.2.0")
            _write_frame(group.create_group("var"), values.columns.tolist(), {})
        pixels[done : done + len(values)] = values.to_numpy()
        numbers[done : done + len(values)] = frame[_INSTANCE]
        done += len(values)
    rows = group.create_group("obs")
    _write_frame(rows, numbers.astype(str).tolist(), {_INSTANCE: numbers})
    of_labels = rows.create_group(_REGION)
    _describe(of_labels, "categorical", "0.2.0", ordered=False)
    _put(of_labels, "categories", [LABELS])
    _put(of_labels, "codes", np.zeros(count, np.int8))
    rows.attrs["column-order"] = [_REGION, _INSTANCE]
    about = group.create_group("uns")
    _describe(about, "dict", "0.1.0")
    keys = about.create_group("spatialdata_attrs")
    _describe(keys, "dict", "0.1.0")
    for name, value in facts.items():
        _describe(_array(keys, name, np.array(value, np.dtypes.StringDType())), "string", "0.2.0")


def _write_frame(group: zarr.Group, index: list[str], columns: dict[str, Any]) -> None:
    _describe(group, "dataframe", "0.2.0", **{"_index": "_index", "column-order": list(columns)})
    _put(group, "_index", index)
    for name, values in columns.items():
        _put(group, name, values)


def _put(group: zarr.Group, name: str, values: Any) -> None:
    if isinstance(values, list):
        array = _array(group, name, np.array(values, np.dtypes.StringDType()))
        _describe(array, "string-array", "0.2.0")
    else:
        _describe(_array(group, name, values), "array", "0.2.0")


def _array(group: zarr.Group, name: str, values: Any) -> Any:
    chunks = tuple(max(1, length) for length in values.shape)
    array = group.create_array(name, shape=values.shape, chunks=chunks or "auto", dtype=values.dtype)
    if values.size:
        array[...] = values
    return array


def _describe(node: Any, kind: str, version: str, **about: Any) -> None:
    node.attrs.update({"encoding-type": kind, "encoding-version": version, **about})
