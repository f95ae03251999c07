"""The geometry of tiling: what each tile owns and reads, and its neighbours."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from nucseg.core.window import Window


@dataclass(frozen=True)
class TileGrid:
    """The tiles of one image, in the frame that the network sees.

    Attributes:
        shape: (rows, columns) of the image in that frame.
        side: Side of the core that a tile owns, in pixels; a multiple of the model's stride.
        halo: Pixels that a tile reads beyond what it owns; also a multiple of the stride.
    """

    shape: tuple[int, int]
    side: int
    halo: int

    @property
    def counts(self) -> tuple[int, int]:
        """Tiles along rows and columns."""
        return -(-self.shape[0] // self.side), -(-self.shape[1] // self.side)

    def __len__(self) -> int:
        return self.counts[0] * self.counts[1]

    def __iter__(self) -> Iterator[int]:
        """Iterate over the tiles' numbers, row by row."""
        return iter(range(len(self)))

    def core(self, tile: int) -> Window:
        """Return the window that a tile owns; every pixel belongs to exactly one tile."""
        row, column = divmod(tile, self.counts[1])
        top, left = row * self.side, column * self.side
        return Window(top, left, min(top + self.side, self.shape[0]), min(left + self.side, self.shape[1]))

    def reads(self, tile: int) -> Window:
        """Return the window that the network must see to predict what a tile owns."""
        return self.core(tile).grown(self.halo, self.shape)

    def neighbours(self, tile: int) -> list[int]:
        """Return a tile and those around it, in ascending order."""
        rows, columns = self.counts
        row, column = divmod(tile, columns)
        return [
            y * columns + x
            for y in range(max(row - 1, 0), min(row + 2, rows))
            for x in range(max(column - 1, 0), min(column + 2, columns))
        ]


def make_grid(shape: tuple[int, int], side: int | None, *, stride: int, halo: int, max_side: int) -> TileGrid:
    """Create the tiles that cover an image.

    Without a wanted side, an image that the model can take as a whole is one tile; a larger one is cut into as few
    tiles as the model can take with their halos, of equal size: large ones beside a narrow rest need more memory.

    Args:
        shape: (rows, columns) in the frame that the network sees.
        side: Wanted side of a tile, in pixels; rounded up to the stride, and at most what the model can take. None: the
            default.
        stride: The model's stride; origins of tiles are multiples of it.
        halo: The model's halo.
        max_side: Pixels a side that the model can take at once.
    """
    halo = -(-halo // stride) * stride
    largest = max_side - 2 * halo
    if max(shape) <= max_side:
        largest = max(shape)
    elif side is None and max(shape) <= 2 * (max_side - halo):
        largest = max_side - halo  # either of two tiles has its halo on one side only
    side = max(ceil(each / ceil(each / largest)) for each in shape) if side is None else min(side, largest)
    # So that the neighbours contain all that a tile needs.
    return TileGrid(shape, max(-(-side // stride) * stride, halo), halo)
