"""Tiles on this machine: the network runs over one tile while others are read, decoded and drawn."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from nucseg.images.extent import Extent
from nucseg.images.preprocessing import FittedPreprocessor
from nucseg.images.source import ImageSource
from nucseg.inference.options import PredictOptions
from nucseg.inference.tiles import TileGrid
from nucseg.inference.view import NetworkView
from nucseg.models.precision import tiles_at_once

_READ_AHEAD = 2

Part = TypeVar("Part")
"""What is found in a tile, in the frame of the image."""

Whole_co = TypeVar("Whole_co", covariant=True)
"""What is found in the image."""


@dataclass(frozen=True)
class Look:
    """What a look at an image says about how to predict it.

    Attributes:
        scale: The factor by which to resize the image.
        smaller: Smaller scales whose answers `TileSteps.whole` takes, too.
        known: By scale, if the network has seen the whole image at this scale: what `TileSteps.decode` takes for it as
            the proposals of tile 0.
    """

    scale: float
    smaller: tuple[float, ...] = ()
    known: Mapping[float, Any] = field(default_factory=dict)


class TileSteps(Protocol[Part, Whole_co]):
    """The steps from tiles to an answer: all that an engine knows about task and model.

    Each step is pure: safe to run twice, in any thread and any process.
    """

    def look(self, source: ImageSource, fitted: FittedPreprocessor, at_once: bool) -> Look:
        """Find the scale at which an image should be predicted.

        Args:
            source: The image.
            fitted: The preprocessing with the statistics of the image.
            at_once: Whether what is found in a whole image may be taken, since no tiles or parts of it are asked for.
        """
        ...

    def needed(self, grid: TileGrid, tile: int) -> list[int]:
        """Return the tiles whose proposals `decode` takes for a tile, including its own."""
        ...

    def propose(self, view: NetworkView, grid: TileGrid, tiles: Sequence[int]) -> list[Any]:
        """Run the network over tiles and their halos.

        Args:
            view: The image.
            grid: Its tiles.
            tiles: Numbers of the tiles.

        Returns:
            What the network proposes for each tile.
        """
        ...

    def nothing(self) -> Part:
        """Return the part of a tile that is not predicted."""
        ...

    def inside(self, part: Part, extent: Extent) -> Part:
        """Return what of a part lies in the extent of the image that is predicted."""
        ...

    def decode(self, view: NetworkView, grid: TileGrid, tile: int, proposals: Mapping[int, Any]) -> Part:
        """Decide what a tile contains.

        Args:
            view: The image.
            grid: Its tiles.
            tile: Number of the tile.
            proposals: What `propose` returned for each of the tiles that `needed` names, by number.
        """
        ...

    def whole(self, view: NetworkView, grid: TileGrid, parts: Sequence[Part], smaller: Mapping[float, Any]) -> Whole_co:
        """Join all tiles.

        Args:
            view: The image.
            grid: Its tiles.
            parts: What was found in each tile, in the order of their numbers.
            smaller: By scale, what was found at the smaller scales that `look` asked for.
        """
        ...


@dataclass(frozen=True)
class TileJob(Generic[Part, Whole_co]):
    """One image to be predicted tile by tile.

    Attributes:
        source: The image; its `name` is the path or URL under which other processes find it.
        options: How it is predicted.
        fitted: The preprocessing with the statistics of the image.
        scale: Factor by which the preprocessed image is resized.
        grid: The tiles.
        steps: The steps of a tile, with the model.
        known: What `TileSteps.look` knows of tiles, by number; `TileSteps.decode` takes it as their proposals.
        level: Number of the level of the image that the network's pixels are read from; 0 is the image.
        extent: The part of the image that is predicted; None for all of it.
        smaller: The same image at the smaller scales that `TileSteps.look` asked for.
    """

    source: ImageSource
    options: PredictOptions
    fitted: FittedPreprocessor
    scale: float
    grid: TileGrid
    steps: TileSteps[Part, Whole_co]
    known: Mapping[int, Any] = field(default_factory=dict)
    level: int = 0
    extent: Extent | None = None
    smaller: "tuple[TileJob[Part, Whole_co], ...]" = ()

    @cached_property
    def empty(self) -> frozenset[int]:
        """The tiles in which nothing is predicted."""
        if self.extent is None:
            return frozenset()
        return frozenset(tile for tile in self.grid if not self.extent.touches(self.grid.core(tile), self.grid.shape))

    def needed(self, skip: Collection[int]) -> dict[int, list[int]]:
        """Return the tiles whose proposals each tile takes, without empty tiles and without those to skip."""
        return {
            tile: [each for each in self.steps.needed(self.grid, tile) if each not in self.empty]
            for tile in self.grid
            if tile not in self.empty and tile not in skip
        }

    @cached_property
    def view(self) -> NetworkView:
        """The image as the network sees it."""
        return NetworkView(self.source, self.fitted, self.scale, self.level)


class Engine(Protocol):
    """A way to run the steps of tiles.

    Attributes:
        images_at_once: Number of images to read, predict and write at a time, if they are no larger than a tile.
    """

    images_at_once: int

    def parts(self, job: TileJob[Part, Any], skip: Collection[int] = frozenset()) -> Iterator[tuple[int, Part]]:
        """Predict tiles except empty ones and those to skip; yield number and part of each as soon as it is known."""
        ...


class Proposals:
    """Proposals that some tile still waits for.

    Args:
        needed: For each tile to decode, the tiles whose proposals it takes.

    Attributes:
        held: Proposals by tile.
    """

    def __init__(self, needed: Mapping[int, Collection[int]]) -> None:
        self._waits = {tile: set(tiles) for tile, tiles in needed.items()}
        self._users: defaultdict[int, set[int]] = defaultdict(set)
        for tile, tiles in needed.items():
            for needed_tile in tiles:
                self._users[needed_tile].add(tile)
        self.held: dict[int, Any] = {}

    @property
    def wanted(self) -> list[int]:
        """The tiles whose proposals some tile waits for, in the order of their numbers."""
        return sorted(self._users)

    def add(self, tile: int, proposals: Any) -> list[tuple[int, dict[int, Any]]]:
        """Add the proposals of a tile, and drop those that no tile waits for any longer.

        Returns:
            The tiles that are now ready, each with the proposals it takes.
        """
        self.held[tile] = proposals
        ready = sorted(user for user in self._users[tile] if self._waits[user] <= self.held.keys())
        complete = [(user, {needed: self.held[needed] for needed in sorted(self._waits[user])}) for user in ready]
        for user in ready:
            for needed in self._waits[user]:
                self._users[needed].discard(user)
        self.held = {needed: found for needed, found in self.held.items() if self._users[needed]}
        return complete


class LocalEngine:
    """Predicts tiles in threads of this process.

    Several images may be predicted at a time: while the network runs for one of them, tiles of the others are read and
    decoded.

    Args:
        threads: Number of threads that decode tiles.
        batch: Number of tiles that the network sees at a time; None chooses a number for the device.
    """

    images_at_once = 2

    def __init__(self, threads: int = 2, batch: int | None = None) -> None:
        self._threads = threads
        self._batch = tiles_at_once() if batch is None else batch

    def parts(self, job: TileJob[Part, Any], skip: Collection[int] = frozenset()) -> Iterator[tuple[int, Part]]:
        """Predict tiles, about row by row; see `Engine.parts`."""
        proposals = Proposals(job.needed(skip))
        running: dict[int, Future[Part]] = {}
        with ThreadPoolExecutor(self._threads) as decoders:
            for number, found in self._proposed(job, proposals.wanted):
                for tile, needed in proposals.add(number, found):
                    running[tile] = decoders.submit(job.steps.decode, job.view, job.grid, tile, needed)
                # Decoding must not fall behind: waiting proposals hold memory.
                while len(running) > 2 * self._threads:
                    tile = next(iter(running))
                    yield tile, running.pop(tile).result()
                for tile in [tile for tile, future in running.items() if future.done()]:
                    yield tile, running.pop(tile).result()
            for tile, future in running.items():
                yield tile, future.result()

    def _proposed(self, job: TileJob[Any, Any], tiles: list[int]) -> Iterator[tuple[int, Any]]:
        yield from job.known.items()
        tiles = [tile for tile in tiles if tile not in job.known]
        with ThreadPoolExecutor(_READ_AHEAD) as readers:
            ahead: dict[Future[list[Any]], list[int]] = {}
            try:
                for start in range(0, len(tiles), self._batch):
                    some = tiles[start : start + self._batch]
                    ahead[readers.submit(job.steps.propose, job.view, job.grid, some)] = some
                    if len(ahead) >= _READ_AHEAD:
                        # In any order: waiting for the first would leave the network idle at times.
                        future = next(as_completed(ahead))
                        yield from zip(ahead.pop(future), future.result(), strict=True)
                for future in as_completed(ahead):
                    yield from zip(ahead[future], future.result(), strict=True)
            finally:
                for future in ahead:
                    future.cancel()
