"""Predict an image of any size, tile by tile."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from nucseg.inference.engine import Engine, Part, TileJob

Whole = TypeVar("Whole")


def predict_tiled(
    job: TileJob[Part, Whole],
    engine: Engine,
    *,
    finished: Mapping[int, Part] | None = None,
    on_tile: Callable[[int, Part], None] = lambda tile, part: None,
) -> Whole:
    """Predict an image of any size.

    Args:
        job: The image, its tiles and their steps, from `Predictor.job`.
        engine: Where the tiles are predicted.
        finished: Tiles that an earlier run has predicted, by number.
        on_tile: Called with the number and part of every other tile, as soon as it is known.

    Returns:
        The joined result of all tiles.
    """
    parts = dict(finished or {}) | dict.fromkeys(job.empty, job.steps.nothing())
    for tile, found in engine.parts(job, parts.keys()):
        part = job.steps.inside(found, job.extent) if job.extent else found
        on_tile(tile, part)
        parts[tile] = part
    return job.steps.whole(job.view, job.grid, [parts[tile] for tile in job.grid])
