"""Slides in the forms of several scanners, with pyramids, as tests draw them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

SCN = """<?xml version="1.0"?>
<scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"><collection sizeX="9000" sizeY="9000">
<image name="overview"><pixels><dimension sizeX="{w}" sizeY="{h}" r="0" ifd="0"/></pixels>
<scanSettings><objectiveSettings><objective>0.60833</objective></objectiveSettings></scanSettings></image>
<image name="tissue"><pixels>{dimensions}</pixels>
<scanSettings><objectiveSettings><objective>20</objective></objectiveSettings></scanSettings></image>
</collection></scn>"""


def halved(image: NDArray[np.uint8], times: int) -> list[NDArray[np.uint8]]:
    """Return an image and its reduced copies, each half the size of the one before."""
    levels = [image]
    for _ in range(times):
        height, width = (side // 2 * 2 for side in levels[-1].shape[:2])
        even = levels[-1][:height, :width].astype(np.float32)
        mean = (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4
        levels.append(np.rint(mean).astype(np.uint8))
    return levels


def write_svs(path: Path, levels: list[NDArray[np.uint8]], size: float, **tiles: Any) -> None:
    facts = f"Aperio Image Library v12.0.15\n{levels[0].shape[1]}x{levels[0].shape[0]} JPEG/RGB Q=70|AppMag = 20|MPP = "
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        file.write(levels[0], description=f"{facts}{size}", **tiles)
        file.write(levels[-1], description="Aperio Image Library\nthumbnail", photometric="rgb", metadata=None)
        for level in levels[1:]:
            file.write(level, description=f"{facts}{size}", **tiles)
        file.write(np.zeros((8, 12, 3), np.uint8), subfiletype=1, description="label", metadata=None, photometric="rgb")
        file.write(np.zeros((8, 12, 3), np.uint8), subfiletype=9, description="macro", metadata=None, photometric="rgb")


def write_ndpi(path: Path, levels: list[NDArray[np.uint8]], size: float, **tiles: Any) -> None:
    def tags(magnification: float) -> dict[str, Any]:
        return {
            "extratags": [
                (65420, "I", 1, 1, False),
                (271, "s", 0, "Hamamatsu", False),
                (65421, "f", 1, magnification, False),
            ]
        }

    with tifffile.TiffWriter(path) as file:
        for number, level in enumerate(levels):
            pixels = 1e4 / (size * 2**number)
            file.write(level, resolution=(pixels, pixels), resolutionunit="CENTIMETER", **tags(20 / 2**number), **tiles)
        file.write(np.zeros((20, 70, 3), np.uint8), photometric="rgb", metadata=None, **tags(-1.0))


def write_scn(path: Path, levels: list[NDArray[np.uint8]], size: float, **tiles: Any) -> None:
    dimensions = "".join(
        f'<dimension sizeX="{level.shape[1]}" sizeY="{level.shape[0]}" r="{number}" ifd="{number + 1}"/>'
        for number, level in enumerate(levels)
    )
    xml = SCN.format(w=levels[-1].shape[1], h=levels[-1].shape[0], dimensions=dimensions)
    with tifffile.TiffWriter(path) as file:
        file.write(levels[-1], description=xml, **tiles)
        for number, level in enumerate(levels):
            pixels = 1e4 / (size * 2**number)
            file.write(level, resolution=(pixels, pixels), resolutionunit="CENTIMETER", **tiles)


def write_bif(path: Path, levels: list[NDArray[np.uint8]], size: float, overlap: int = 0, **tiles: Any) -> None:
    joint = f'<TileJointInfo FlagJoined="1" OverlapX="{overlap}" OverlapY="0"/>'
    xmp = f'<Metadata><iScan Magnification="20" ScanRes="{size}"/>{joint}</Metadata>'.encode()
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        software = {"software": "ScanOutputManager 1.1"}
        tag = [(700, "B", len(xmp), xmp, False)]
        label = np.zeros((20, 12, 3), np.uint8)
        file.write(label, description="Label Image", photometric="rgb", metadata=None, extratags=tag, **software)
        for number, level in enumerate(levels):
            file.write(
                level, description=f"level={number} mag={20 / 2**number} quality=95", extratags=tag, **software, **tiles
            )


WRITERS: dict[str, Callable[..., None]] = {
    "svs": write_svs,
    "ndpi": write_ndpi,
    "scn": write_scn,
    "bif": write_bif,
}


def write_slide(
    folder: Path,
    image: NDArray[np.uint8],
    size: float,
    *,
    scanner: str = "svs",
    times: int = 2,
    side: int = 64,
    **facts: Any,
) -> Path:
    """Write an RGB image as the slide of a scanner, with tiles and reduced copies, and return its path.

    Args:
        folder: Where.
        image: `(H, W, 3)`.
        size: Micrometres per pixel.
        scanner: One of `WRITERS`.
        times: Number of reduced copies.
        side: Pixels a side of a tile.
        facts: Further arguments of the scanner's function.
    """
    tiles = {"tile": (side, side), "compression": "zlib", "photometric": "rgb", "metadata": None}
    # tifffile reads a file of the name .ndpi with the long offsets that Hamamatsu writes and it does not.
    path = folder / f"slide.{'tif' if scanner == 'ndpi' else scanner}"
    WRITERS[scanner](path, halved(image, times), size, **{**tiles, **facts})
    return path


def break_tile(path: Path, level: int, place: tuple[int, int]) -> None:
    """Overwrite the tile of a level that holds a pixel (row, column) with bytes that cannot be decoded."""
    with tifffile.TiffFile(path) as file:
        page = file.series[0].levels[level].keyframe
        columns = -(-page.imagewidth // page.tilewidth)
        tile = place[0] // page.tilelength * columns + place[1] // page.tilewidth
        start, count = page.dataoffsets[tile], page.databytecounts[tile]
    with path.open("r+b") as stream:
        stream.seek(start)
        stream.write(b"\x00" * count)
