"""Zarr groups that hold several images: plates, wells and converted files with several series."""

from pathlib import Path
from typing import Any

import zarr


def member_images(url: str | Path) -> list[str]:
    """Return the paths, within a Zarr group, of the images in it.

    Sources: https://ngff.openmicroscopy.org/0.4/#hcs-layout and its layout of bioformats2raw.

    Args:
        url: The group; a local one as a `Path`.

    Returns:
        The fields of a plate (`row/column/field`) or of a well, or the series of a file that bioformats2raw converted;
        empty if it is an image itself, or something else. A well without its group stands for its fields, so that
        opening it says what is wrong.
    """
    node = zarr.open(url, mode="r")
    if isinstance(node, zarr.Array):
        return []
    about = _attributes(node)
    if "plate" in about:
        return [path for well in about["plate"]["wells"] for path in _fields(node, well["path"])]
    if "well" in about:
        return [str(field["path"]) for field in about["well"]["images"]]
    if "bioformats2raw.layout" in about:
        series = _attributes(node["OME"]).get("series") if "OME" in node else None
        return [str(each) for each in series or sorted(filter(str.isdecimal, node.group_keys()), key=int)]
    return []


def _fields(plate: Any, well: str) -> list[str]:
    try:
        about = _attributes(plate[well])["well"]
    except KeyError:
        return [well]
    return [f"{well}/{field['path']}" for field in about["images"]]


def _attributes(node: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = dict(node.attrs)
    return dict(attributes.get("ome", attributes))
