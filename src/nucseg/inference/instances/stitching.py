"""Numbers for the nuclei of all tiles; one that two tiles found counts once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nucseg.inference.instances.parts import TileResult

_SAME_OVERLAP = 0.5
"""Two tiles' nuclei are one where at least this part of the smaller lies in the other."""

Nucleus = tuple[int, int]
"""A tile and a label in it."""


@dataclass(frozen=True)
class Numbering:
    """The numbers of the whole image.

    Attributes:
        numbers: For each tile `(n + 1,)` int32: what its labels 0..n become; 0 if a nucleus is left out.
        scores: `(N,)` float32, by number; the highest one where pieces were joined.
        groups: For each tile that has the first piece of a nucleus: its first and last number, and the tiles (including
            itself) in which those nuclei have pixels.
        shared: The numbers, ascending, of nuclei that lost pixels to another tile's nucleus or have several pieces.
    """

    numbers: list[NDArray[np.int32]]
    scores: NDArray[np.float32]
    groups: list[tuple[int, int, list[int]]]
    shared: list[int]


def number_nuclei(parts: list[TileResult], neighbours: Callable[[int], list[int]]) -> Numbering:
    """Number nuclei 1..N, tile by tile and, within a tile, in its own order.

    A nucleus that two tiles found (a disagreement at a seam) counts once: the one with the higher score stays. If a
    nucleus is too large for any tile to see, each tile has a piece that ends at the border of what it saw; the pieces
    are joined.

    Args:
        parts: What each tile found.
        neighbours: The numbers of a tile and of those around it, in ascending order.
    """
    joined, dropped, hidden = _resolve(parts, neighbours)
    pieces: dict[Nucleus, list[int]] = {}
    for nucleus in joined:
        pieces.setdefault(_root(joined, nucleus), []).append(nucleus[0])
    numbers = [np.zeros(len(part) + 1, np.int32) for part in parts]
    scores: list[float] = []
    groups: list[tuple[int, int, list[int]]] = []
    for tile, part in enumerate(parts):
        first, tiles = len(scores) + 1, {tile}
        for label in range(1, len(part) + 1):
            nucleus = (tile, label)
            if nucleus in dropped:
                continue
            root = _root(joined, nucleus)
            number = numbers[root[0]][root[1]]
            if number:
                scores[number - 1] = max(scores[number - 1], float(part.scores[label - 1]))
            else:
                scores.append(float(part.scores[label - 1]))
                number = numbers[root[0]][root[1]] = len(scores)
                tiles |= set(pieces.get(root, []))
            numbers[tile][label] = number
        if len(scores) >= first:
            groups.append((first, len(scores), sorted(tiles)))
    shared = {int(numbers[tile][label]) for tile, label in {*joined, *hidden} - dropped}
    return Numbering(numbers, np.array(scores, np.float32), groups, sorted(shared))


def _resolve(
    parts: list[TileResult], neighbours: Callable[[int], list[int]]
) -> tuple[dict[Nucleus, Nucleus], set[Nucleus], set[Nucleus]]:
    """Decide which pieces are joined (each leads to an earlier one or to itself), and which nuclei are left out.

    The last are those that lose pixels to another tile's nucleus.
    """
    joined: dict[Nucleus, Nucleus] = {}
    dropped: set[Nucleus] = set()
    hidden: dict[Nucleus, int] = {}
    for one, other, pixels, share in _overlaps(parts, neighbours):
        if one in dropped or other in dropped:
            continue
        if share < _SAME_OVERLAP:
            hidden[other] = hidden.get(other, 0) + pixels  # the first tile has the pixels
            if hidden[other] >= parts[other[0]].areas[other[1] - 1]:
                dropped.add(other)
        elif not (_cut(parts, one) or _cut(parts, other)):
            dropped.add(min(one, other, key=lambda each: (_score(parts, each), each)))
        else:
            _join(joined, one, other)
    return joined, dropped, set(hidden)


def _overlaps(
    parts: list[TileResult], neighbours: Callable[[int], list[int]]
) -> Iterator[tuple[Nucleus, Nucleus, int, float]]:
    """Find the nuclei of two tiles (the lower first) that share pixels: how many, and what fraction of the smaller."""
    for tile, part in enumerate(parts):
        for before in neighbours(tile):
            if before >= tile:
                break
            other = parts[before]
            common = part.window.common(other.window)
            if not common:
                continue
            later, earlier = part.crop(common), other.crop(common)
            both = (later > 0) & (earlier > 0)
            if not both.any():
                continue
            pairs, pixels = np.unique(np.stack([earlier[both], later[both]]), axis=1, return_counts=True)
            # Only the part of a piece that both tiles could see is comparable.
            areas_earlier = np.where(other.cut, np.bincount(earlier.ravel(), minlength=len(other) + 1)[1:], other.areas)
            areas_later = np.where(part.cut, np.bincount(later.ravel(), minlength=len(part) + 1)[1:], part.areas)
            smaller = np.minimum(areas_earlier[pairs[0] - 1], areas_later[pairs[1] - 1])
            for one, two, count, share in zip(
                *pairs.tolist(), pixels.tolist(), (pixels / smaller).tolist(), strict=True
            ):
                yield (before, one), (tile, two), count, share


def _score(parts: list[TileResult], nucleus: Nucleus) -> float:
    return float(parts[nucleus[0]].scores[nucleus[1] - 1])


def _cut(parts: list[TileResult], nucleus: Nucleus) -> bool:
    return bool(parts[nucleus[0]].cut[nucleus[1] - 1])


def _root(joined: dict[Nucleus, Nucleus], nucleus: Nucleus) -> Nucleus:
    while joined.get(nucleus, nucleus) != nucleus:
        nucleus = joined[nucleus]
    return nucleus


def _join(joined: dict[Nucleus, Nucleus], one: Nucleus, other: Nucleus) -> None:
    roots = sorted((_root(joined, one), _root(joined, other)))
    for nucleus in (one, other):
        joined.setdefault(nucleus, nucleus)
    joined.setdefault(roots[0], roots[0])
    joined[roots[1]] = roots[0]
