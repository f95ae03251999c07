"""Predict an image of any size, tile by tile."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from numpy.typing import NDArray

from nucseg.core.window import Window
from nucseg.images.source import ImageSource
from nucseg.inference.engine import Engine, LocalEngine, Part, TileJob

logger = logging.getLogger(__name__)

Whole = TypeVar("Whole")


def predict_tiled(
    job: TileJob[Part, Whole],
    engine: Engine,
    *,
    finished: Mapping[int, Part] | None = None,
    on_tile: Callable[[int, Part], None] = lambda tile, part: None,
) -> Whole:
    """Predict an image of any size; first at the smaller scales that the job asks for.

    Args:
        job: The image, its tiles and their steps, from `Predictor.job`.
        engine: Where the tiles are predicted.
        finished: Tiles that an earlier run has predicted, by number.
        on_tile: Called with the number and part of every other tile, as soon as it is known.

    Returns:
        The joined result of all tiles.
    """
    smaller = {each.scale: predict_tiled(each, engine) for each in job.smaller}
    parts = dict(finished or {}) | dict.fromkeys(job.empty, job.steps.nothing())
    for tile, found in engine.parts(job, parts.keys()):
        part = job.steps.inside(found, job.extent) if job.extent else found
        on_tile(tile, part)
        parts[tile] = part
    return job.steps.whole(job.view, job.grid, [parts[tile] for tile in job.grid], smaller)


def predict_here(
    make_job: Callable[[ImageSource], TileJob[Part, Whole]], source: ImageSource, progress: Callable[[float], None]
) -> Whole:
    """Predict an image of any size on this machine, and log the notes on how it was read.

    Args:
        make_job: Lays tiles over the image.
        source: The image.
        progress: Called with the finished fraction, before each piece is read and after each tile; an exception that it
            raises ends the prediction.

    Returns:
        The joined result of all tiles.
    """
    done = 0.0

    def watched(image: ImageSource) -> ImageSource:
        def read(window: Window) -> NDArray:
            progress(done)
            return image.read(window)

        return replace(image, read=read, levels=tuple(map(watched, image.levels)))

    job = make_job(watched(source))
    for note in job.source.notes:
        logger.warning("%s: %s", source.name, note)

    def report(tile: int, part: Part) -> None:
        nonlocal done
        done += 1 / (len(job.grid) - len(job.empty))
        progress(min(done, 1.0))

    found = predict_tiled(job, LocalEngine(), on_tile=report)
    if source.incomplete:
        logger.warning("%s", source.incomplete)
    return found
