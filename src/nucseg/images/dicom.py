"""Whole slides in DICOM, read by wsidicom."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.broken import BrokenTiles
from nucseg.images.content import Content, colour_content
from nucseg.images.source import ImageSource, reduced_copies

SUFFIX = ".dcm"
"""Of DICOM files; a folder of them is one slide."""


def open_dicom(path: Path, name: str) -> Content:
    """Open a slide: a folder of DICOM files, or one of these files, which stands for all of its series beside it.

    Args:
        path: The folder, or the file.
        name: Name for messages.

    Raises:
        InputError: wsidicom is not installed, or the files are not one slide in colour or in 8-bit grey.
    """
    try:
        import pydicom
        from wsidicom import WsiDicom
    except ImportError as error:
        raise InputError(f"{name}: needs wsidicom to be read: pip install 'nucseg[dicom]'.") from error
    folder, wanted = (path, None) if path.is_dir() else (path.parent, _series(pydicom, path))
    series: dict[str, list[Path]] = {}
    for file in sorted(folder.glob(f"*{SUFFIX}")) if path.is_dir() or path.suffix == SUFFIX else [path]:
        uid = _series(pydicom, file)
        if wanted in (None, uid):
            series.setdefault(uid, []).append(file)
    if len(series) != 1:
        files = ", ".join(each[0].name for each in series.values())
        raise InputError(f"{name}: holds {len(series)} slides; give a file of one of them ({files}).")
    slide = WsiDicom.open(next(iter(series.values())))
    base = slide.pyramid.base_level
    for what, several in (("optical paths", base.optical_paths), ("focal planes", base.focal_planes)):
        if len(several) > 1:
            raise InputError(f"{name}: holds {len(several)} {what}; save the one to use as a separate file.")
    broken = BrokenTiles(name)
    full, *levels = (_level(slide, level, name, broken) for level in slide.pyramid)
    if len(full.shape) == 2:
        return Content(name, {}, lambda channel, plane: full)
    return colour_content(name, full, reduced_copies(levels, full))


def _series(pydicom: Any, file: Path) -> str:
    return str(pydicom.dcmread(file, specific_tags=["SeriesInstanceUID"], stop_before_pixels=True).SeriesInstanceUID)


def _level(slide: Any, level: Any, name: str, broken: BrokenTiles) -> ImageSource:
    read = partial(_read, slide, level.level)
    one = read(Window(0, 0, 1, 1))
    blank = np.full(one.shape[2:], 255 if one.ndim == 3 else 0, one.dtype)
    tolerant = broken.reader(read, (level.tile_size.height, level.tile_size.width), blank, level.level)
    spacing = level.pixel_spacing
    size = (1000 * spacing.height, 1000 * spacing.width) if spacing else None
    shape = (level.size.height, level.size.width, *one.shape[2:])
    return ImageSource(name, shape, one.dtype, tolerant, size, broken=broken)


def _read(slide: Any, level: int, window: Window) -> NDArray:
    pixels: NDArray = np.asarray(slide.read_region((window.left, window.top), level, window.shape[::-1]))
    return pixels
