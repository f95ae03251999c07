"""From an image to a job of tiles: statistics, scale, part of the image, grid."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from nucseg.core.errors import InputError
from nucseg.images.extent import extent_of
from nucseg.images.source import ImageSource
from nucseg.inference.engine import Look, TileJob, TileSteps
from nucseg.inference.options import PredictOptions
from nucseg.inference.resolution import at_level, level_for, resolution_note, slide_scale
from nucseg.inference.tiles import make_grid
from nucseg.inference.view import NetworkView
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision

Part = TypeVar("Part")
Whole = TypeVar("Whole")


def make_job(
    bundle: ModelBundle,
    make_steps: Callable[[PredictOptions], TileSteps[Part, Whole]],
    source: ImageSource,
    options: PredictOptions,
) -> TileJob[Part, Whole]:
    """Compute the statistics of an image, which is read twice for this, band by band, and lay tiles over it.

    A slide is read, and its statistics are computed, at the level that fits to the scale; if the scale is `auto` and
    the pixel size known, the scale is that of `slide_scale`. Where a part of the image is predicted, statistics are
    those of its blocks of 512 pixels, and tiles without any of it are not read.

    Args:
        bundle: The model.
        make_steps: Returns the steps of a tile with this model.
        source: The image.
        options: How it is predicted. Its channel and plane are those that `source` was opened with, for other
            processes.

    Returns:
        What `predict_tiled` takes. If the scale was estimated on the whole image, the job contains what the network
        proposed at that scale, so that no pixel passes through it twice; so do its jobs at smaller scales.

    Raises:
        InputError: It is not an image, shows several stains in colour, see `Preprocessor.fit_source`, or there is
            nothing to predict, see `extent_of`.
        ConfigError: The precision is not available.
    """
    use_precision(options.precision)  # it holds for the whole process: another call may have changed it
    preprocessor = bundle.preprocessor()
    given, level = options.scale, 0
    if source.is_slide:
        given = (slide_scale(source) or given) if given == "auto" else given
        level = 0 if given == "auto" or preprocessor.rescales else level_for(source, given)
    extent = extent_of(source, options.tissue, options.region)
    try:
        seen = at_level(source, level)
        seen = extent.packed(seen) if extent else seen
        fitted = preprocessor.fit_source(seen, options.magnification)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{source.name}: cannot be read ({error}). Fetch or save it again.") from error
    notes = fitted.notes + resolution_note(source, level) + (extent.notes if extent else ())
    source = replace(source, notes=source.notes + notes)
    at_once = extent is None and (options.tile is None or max(source.shape[:2]) <= options.tile)
    look = make_steps(options).look(seen, fitted, at_once) if given == "auto" else Look(given)
    if extent:  # places in the packed image are none in the image
        fitted, look = replace(fitted, surroundings=None), replace(look, known={})

    def at(
        scale: float, options: PredictOptions, smaller: tuple[TileJob[Part, Whole], ...] = ()
    ) -> TileJob[Part, Whole]:
        grid = make_grid(
            NetworkView(source, fitted, scale, level).shape,
            options.tile,
            stride=bundle.model.stride,
            halo=bundle.model.halo,
            max_side=bundle.model.max_side,
        )
        known = {0: look.known[scale]} if scale in look.known and len(grid) == 1 else {}
        return TileJob(source, options, fitted, scale, grid, make_steps(options), known, level, extent, smaller)

    own = options.changed(score_threshold=None)  # what is asked for is decided where the scales are joined
    return at(look.scale, options, tuple(at(scale, own) for scale in look.smaller))
