"""Tiles on this machine: the network runs over one tile while others are read, decoded and drawn."""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from nucseg.images.preprocessing import FittedPreprocessor
from nucseg.images.source import ImageSource
from nucseg.inference.instances.parts import Part
from nucseg.inference.instances.steps import decode_tile, propose_tiles
from nucseg.inference.options import PredictOptions
from nucseg.inference.tiles import TileGrid
from nucseg.inference.view import NetworkView
from nucseg.models.precision import tiles_at_once
from nucseg.models.protocols import InstanceSegmenter

_READ_AHEAD = 2


@dataclass(frozen=True)
class TileJob:
    """One image to be predicted tile by tile.

    Attributes:
        source: The image; `name` is where other processes find it.
        options: How it is predicted.
        fitted: The preprocessing with the statistics of the image.
        scale: Factor by which the preprocessed image is resized.
        grid: The tiles.
        known: What the network has already proposed for some tiles, by number.
    """

    source: ImageSource
    options: PredictOptions
    fitted: FittedPreprocessor
    scale: float
    grid: TileGrid
    known: Mapping[int, Any] = field(default_factory=dict)

    @cached_property
    def view(self) -> NetworkView:
        """The image as the network sees it."""
        return NetworkView(self.source, self.fitted, self.scale)


class Engine(Protocol):
    """Something that predicts tiles.

    Attributes:
        images_at_once: Number of images to read, predict and write at a time, where they are no larger than a tile.
    """

    images_at_once: int

    def parts(self, job: TileJob, skip: Collection[int] = frozenset()) -> Iterator[tuple[int, Part]]:
        """Predict all tiles but those to skip; yield the number and the nuclei of each as soon as they are known."""
        ...


class LocalEngine:
    """Predicts tiles in threads of this process.

    Several images may be predicted at a time: the network runs for one of them, and in the others' time their tiles are
    read and decoded.

    Args:
        model: The model.
        threads: Number of threads that decode tiles.
        batch: Number of tiles that the network sees at a time; None takes what suits the device.
    """

    images_at_once = 2

    def __init__(self, model: InstanceSegmenter, threads: int = 2, batch: int | None = None) -> None:
        self._model = model
        self._threads = threads
        self._batch = tiles_at_once() if batch is None else batch

    def parts(self, job: TileJob, skip: Collection[int] = frozenset()) -> Iterator[tuple[int, Part]]:
        """Predict tiles, about row by row; see `Engine.parts`."""
        wanted = [tile for tile in job.grid if tile not in skip]
        order = sorted({near for tile in wanted for near in job.grid.neighbours(tile)})
        waits = {tile: set(job.grid.neighbours(tile)) for tile in wanted}
        uses = {tile: sum(tile in needed for needed in waits.values()) for tile in order}
        proposals: dict[int, Any] = {}
        running: dict[int, Future[Part]] = {}
        with ThreadPoolExecutor(self._threads) as decoders:
            for number, found in self._proposed(job, order):
                proposals[number] = found
                for tile in [tile for tile, needed in waits.items() if needed <= proposals.keys()]:
                    needed = waits.pop(tile)
                    running[tile] = decoders.submit(
                        decode_tile,
                        self._model,
                        job.view,
                        job.grid,
                        tile,
                        {near: proposals[near] for near in sorted(needed)},
                        job.options.score_threshold,
                    )
                    for near in needed:
                        uses[near] -= 1
                        if not uses[near]:
                            del proposals[near]
                # Decoding may not fall behind: what waits holds memory.
                while len(running) > 2 * self._threads:
                    tile = next(iter(running))
                    yield tile, running.pop(tile).result()
                for tile in [tile for tile, future in running.items() if future.done()]:
                    yield tile, running.pop(tile).result()
            for tile, future in running.items():
                yield tile, future.result()

    def _proposed(self, job: TileJob, tiles: list[int]) -> Iterator[tuple[int, Any]]:
        def propose(some: list[int]) -> list[Any]:
            return propose_tiles(self._model, job.view, job.grid, some, job.options.score_threshold)

        yield from job.known.items()
        tiles = [tile for tile in tiles if tile not in job.known]
        with ThreadPoolExecutor(_READ_AHEAD) as readers:
            ahead: dict[Future[list[Any]], list[int]] = {}
            try:
                for start in range(0, len(tiles), self._batch):
                    some = tiles[start : start + self._batch]
                    ahead[readers.submit(propose, some)] = some
                    if len(ahead) >= _READ_AHEAD:
                        # In whatever order the network took them: to wait for the first would leave it idle at times.
                        future = next(as_completed(ahead))
                        yield from zip(ahead.pop(future), future.result(), strict=True)
                for future in as_completed(ahead):
                    yield from zip(ahead[future], future.result(), strict=True)
            finally:
                for future in ahead:
                    future.cancel()
