"""ROIs of ImageJ and Fiji."""

from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray
from roifile import ROI_TYPE, ImagejRoi

from nucseg.core.errors import InputError
from nucseg.datasets.annotations.polygons import pixels_inside

_AREAS = {ROI_TYPE.POLYGON, ROI_TYPE.RECT, ROI_TYPE.OVAL, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED}


def read(files: Mapping[str, bytes], shape: tuple[int, int], name: str) -> Iterator[NDArray[np.intp]]:
    """Read the pixels of each ROI: polygons, freehand and traced outlines, rectangles, ovals, and unions of them.

    Source: https://imagej.net/ij/developer/source/ij/io/RoiDecoder.java.html

    Args:
        files: Content of the `.roi` files by their names.
        shape: `(H, W)` of the image.
        name: Name of the file for messages.

    Raises:
        InputError: A file is not a ROI, a ROI is not an area, or the ROIs are of several planes.
    """
    rois = {each: _roi(content, f"{name}: {each}") for each, content in files.items()}
    planes = {(roi.position, roi.c_position, roi.z_position, roi.t_position) for roi in rois.values()}
    if len(planes) > 1:
        raise InputError(f"{name}: its ROIs are of {len(planes)} planes of a stack; save those of one plane each.")
    for each, roi in rois.items():
        if not roi.composite and roi.roitype not in _AREAS:
            raise InputError(
                f"{name}: {each} is a {roi.roitype.name.lower()}, not an area. Outline nuclei as polygons, freehand "
                "selections, rectangles or ovals."
            )
        yield pixels_inside(cast(list[NDArray], roi.coordinates(multi=True)), shape, f"{name}: {each}")


def _roi(content: bytes, name: str) -> ImagejRoi:
    try:
        return ImagejRoi.frombytes(content)
    except Exception as error:  # the package raises whatever its parsing meets
        raise InputError(f"{name}: is not an ImageJ ROI ({error}). Save the ROIs again in the ROI Manager.") from error
