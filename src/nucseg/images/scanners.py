"""What scanners of slides write into a TIFF beside its own tags."""

import re
from typing import Any
from xml.etree import ElementTree as ET

import tifffile

from nucseg.core.errors import InputError

_MACRO_OBJECTIVE = 2.0  # the magnification of Leica's image of the whole slide is 0.6


class OverlappingTilesError(InputError):
    """The tiles of a slide overlap, and tifffile does not stitch them."""


def scanner_pixel_size(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> str | None:
    """Return the micrometres per pixel that the scanner declares in its own place; None without any.

    Args:
        tiff: The file.
        page: The page of the image in full resolution.
    """
    found = None
    if tiff.is_svs:
        found = re.search(r"\bMPP ?= ?([\d.]+)", page.description)
    elif tiff.is_bif:
        found = re.search(r'\bScanRes="([\d.]+)"', _ventana(tiff))
    return found[1] if found else None


def check_stitched(tiff: tifffile.TiffFile, name: str) -> None:
    """Check that the tiles of a slide lie side by side.

    Raises:
        OverlappingTilesError: It was scanned by Ventana, and its tiles overlap.
    """
    if tiff.is_bif and re.search(r'\bOverlap[XY]="[1-9]', _ventana(tiff)):
        raise OverlappingTilesError(
            f"{name}: its tiles overlap, and OpenSlide is needed to stitch them: pip install 'nucseg[openslide]'."
        )


def _ventana(tiff: tifffile.TiffFile) -> str:
    """Return the XML of all pages of a Ventana slide."""
    pages: list[Any] = list(tiff.pages)
    texts = [page.tags.valueof(700) or b"" for page in pages]
    return "\n".join(text if isinstance(text, str) else bytes(text).decode(errors="replace") for text in texts)


def leica_macros(tiff: tifffile.TiffFile) -> list[bool]:
    """Return, for each image of a Leica slide, whether it is the overview of the whole glass."""
    root = ET.fromstring(tiff.pages.first.description)
    objectives = [image.findtext(".//{*}objective") for image in root.findall("{*}collection/{*}image")]
    return [bool(each) and float(each or 0) < _MACRO_OBJECTIVE for each in objectives]
