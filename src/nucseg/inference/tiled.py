"""Predict an image of any size, tile by tile."""

from dataclasses import replace

from nucseg.core.errors import InputError
from nucseg.images.planes import Channel
from nucseg.images.source import ImageSource
from nucseg.inference.engine import Engine, TileJob
from nucseg.inference.mosaic import Mosaic
from nucseg.inference.parts import whole_part
from nucseg.inference.predictor import Predictor, Scale
from nucseg.inference.tiles import make_grid
from nucseg.inference.view import NetworkView


def tile_job(
    predictor: Predictor,
    source: ImageSource,
    *,
    channel: Channel = None,
    tile: int | None = None,
    scale: Scale | None = None,
    magnification: float | None = None,
    score_threshold: float | None = None,
) -> TileJob:
    """Find an image's statistics (it is read twice for that, band by band) and lay tiles over it.

    Args:
        predictor: The model, and the scale to predict at.
        source: The image.
        channel: How `source` was opened, for other processes.
        tile: Pixels a side of a tile, in the frame of the network; None takes the default.
        scale: To predict at, or `auto`; None takes the predictor's.
        magnification: As in `Predictor.predict`.
        score_threshold: As in `Predictor.predict`.

    Raises:
        InputError: It is not an image, or shows several stains in colour; see `Preprocessor.fit_source`.
        ConfigError: The tile or the scale is not above 0.
    """
    try:
        fitted = predictor.bundle.preprocessor().fit_source(source, magnification)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{source.name}: cannot be read ({error}). Fetch or save it again.") from error
    source = replace(source, notes=source.notes + fitted.notes)
    segmenter = predictor.bundle.segmenter
    factor, found = predictor.scale_for(source, fitted, scale, score_threshold)
    grid = make_grid(
        NetworkView(source, fitted, factor).shape,
        tile,
        stride=segmenter.stride,
        halo=segmenter.halo,
        largest=segmenter.largest,
    )
    known = None
    if found is not None and len(grid) == 1:
        known = whole_part(predictor.answer(found, (source.shape[0], source.shape[1]), score_threshold))
    return TileJob(source, channel, fitted, factor, grid, score_threshold, known)


def predict_tiled(job: TileJob, engine: Engine) -> Mosaic:
    """Find the nuclei of an image of any size.

    Up to the numbering they are those of `Predictor.predict`; an image of one tile has the same numbers, too.

    Args:
        job: The image and its tiles.
        engine: Where the tiles are predicted, with the same model as the job's.
    """
    parts = dict(engine.parts(job))
    return Mosaic((job.source.shape[0], job.source.shape[1]), [parts[tile] for tile in job.grid], job.grid.neighbours)
