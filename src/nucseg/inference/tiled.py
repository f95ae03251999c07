"""Predict an image of any size, tile by tile."""

from collections.abc import Callable, Mapping

from nucseg.inference.engine import Engine, TileJob
from nucseg.inference.instances.mosaic import Mosaic
from nucseg.inference.instances.parts import Part


def predict_tiled(
    job: TileJob,
    engine: Engine,
    *,
    finished: Mapping[int, Part] | None = None,
    on_tile: Callable[[int, Part], None] = lambda tile, part: None,
) -> Mosaic:
    """Find the nuclei of an image of any size.

    Args:
        job: The image and its tiles, from `Predictor.job`.
        engine: Where the tiles are predicted, with the same model as the job's.
        finished: Tiles that an earlier run has predicted, by number.
        on_tile: Called with the number and the nuclei of each tile that is not among them, as soon as it is known.

    Returns:
        The nuclei, numbered tile by tile.
    """
    parts = dict(finished or {})
    for tile, part in engine.parts(job, parts.keys()):
        on_tile(tile, part)
        parts[tile] = part
    return Mosaic(job.view.image_shape, [parts[tile] for tile in job.grid], job.grid.neighbours)
