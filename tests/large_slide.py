"""A slide of any size that is written in seconds: its tiles repeat."""

from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

TILE = 512  # pixels a side of a tile
BLOCK = 8 * TILE  # pixels a side of a block of tissue, so that a tile of the first levels is all tissue or all glass
_GLASS = (242, 240, 243)
_TILED, _LAST = 4, 5  # levels that are made of tiles, each half the size of the one before, and the last level


def write_large_slide(
    path: Path,
    side: int,
    blocks: list[tuple[int, int]],
    texture: NDArray[np.uint8],
    *,
    size: float = 0.25,
    noise: float = 0.0,
) -> None:
    """Write a slide in Aperio's form, with JPEG tiles: glass with blocks of tissue, and levels of 1/2, 1/4, 1/8, 1/32.

    Args:
        path: The file.
        side: Rows and columns of the slide.
        blocks: Row and column of each block of tissue, in blocks.
        texture: The tissue, `(TILE, TILE, 3)`, which is repeated.
        size: Micrometres per pixel.
        noise: Standard deviation of the grey values of glass; without any, networks may skip it by themselves.
    """
    facts = f"Aperio Image Library v12.0.15\n{side}x{side} JPEG/RGB|AppMag = 40|MPP = {size}"
    options = {"photometric": "rgb", "compression": "jpeg", "tile": (TILE, TILE), "metadata": None}
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for level in range(_TILED):
            length = side // 2**level
            tiles = _tiles(-(-length // TILE), level, blocks, texture, noise)
            file.write(tiles, shape=(length, length, 3), dtype=np.uint8, description=facts, **options)
            if level == 0:
                thumbnail = np.full((64, 64, 3), _GLASS, np.uint8)
                file.write(thumbnail, photometric="rgb", metadata=None, description="Aperio thumbnail")
        length, reduced = side // 2**_LAST, _reduced(texture, 2**_LAST)
        last = np.full((length, length, 3), _GLASS, np.uint8)
        reach = BLOCK >> _LAST
        for row, column in blocks:
            part = last[row * reach : (row + 1) * reach, column * reach : (column + 1) * reach]
            part[:] = np.tile(reduced, (BLOCK // TILE, BLOCK // TILE, 1))[: part.shape[0], : part.shape[1]]
        file.write(last, description=facts, **options)


def _reduced(texture: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    cells = texture.reshape(TILE // factor, factor, TILE // factor, factor, 3)
    return np.rint(cells.mean((1, 3))).astype(np.uint8)


def _tiles(
    count: int, level: int, blocks: list[tuple[int, int]], texture: NDArray[np.uint8], noise: float
) -> Iterator[bytes]:
    tissue = np.tile(_reduced(texture, 2**level), (2**level, 2**level, 1))
    grains = np.random.default_rng(0).normal(0, noise, (TILE, TILE, 1))
    plain = (np.full((TILE, TILE, 3), _GLASS) + grains).clip(0, 254).astype(np.uint8)
    glass, stained = (
        imagecodecs.jpeg_encode(pixels, level=80, colorspace="rgb", outcolorspace="ycbcr", subsampling="444")
        for pixels in (plain, tissue)
    )
    held = {(row, column) for row, column in blocks}
    per_block = (BLOCK >> level) // TILE
    for row in range(count):
        for column in range(count):
            yield stained if (row // per_block, column // per_block) in held else glass
