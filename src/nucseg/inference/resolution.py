"""The resolution of a slide at which it is predicted, and the level of the file that is read for it."""

from nucseg.images.source import ImageSource

SLIDE_PIXEL_SIZE = 0.5
"""Micrometres a pixel at which a network sees a slide: nuclei of tissue, which commonly measure 8 to 10 µm, then have
nearly the 20 pixels that they have, in the median, in the stained images that the models were trained on (BBBC038)."""

_NEAR = 1.25
"""A level is taken as it is if its pixels differ from the wanted size by no more than this factor."""

_COARSER = 1.02
"""Pixels may be coarser than wanted by this factor where an image is resized."""


def slide_scale(source: ImageSource) -> float | None:
    """Return the factor by which a slide is resized: to a level as it is, if one fits; None without a pixel size."""
    if source.pixel_size is None:
        return None
    wanted = max(source.pixel_size) / SLIDE_PIXEL_SIZE
    factors = [level.shape[0] / source.shape[0] for level in (source, *source.levels)]
    nearest = min(factors, key=lambda factor: max(factor / wanted, wanted / factor))
    return nearest if 1 / _NEAR <= nearest / wanted <= _NEAR else wanted


def level_for(source: ImageSource, scale: float) -> int:
    """Return the number of the coarsest level, 0 for the image itself, that is fine enough for a scale."""
    rows = source.shape[0] * scale
    return sum(level.shape[0] * _COARSER >= rows for level in source.levels)


def at_level(source: ImageSource, level: int) -> ImageSource:
    """Return a level of an image; the image itself for 0."""
    return source.levels[level - 1] if level else source


def resolution_note(source: ImageSource, level: int) -> tuple[str, ...]:
    """Return the remark on the level of a slide that is read."""
    if not source.is_slide:
        return ()
    if source.pixel_size is None:
        return ("its pixel size is unknown: give it in micrometres with --pixel-size to predict the level that fits.",)
    size = max(source.pixel_size) * source.shape[0] / at_level(source, level).shape[0]
    which = f"level {level} of 0 to {len(source.levels)}"
    return (f"read at {size:.3g} µm per pixel ({which}); results are in pixels of level 0.",)
