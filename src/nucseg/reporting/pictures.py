"""Pixels for display: the contrast of an image, and a figure as a picture."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from nucseg.core.window import Window
from nucseg.images.source import ImageSource

_BAND = 256  # rows of the result that are read at once


def rasterize(figure: Figure) -> Image.Image:
    """Return a figure as an RGB picture at its own resolution."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def stretch_contrast(image: NDArray, percentiles: tuple[float, float]) -> NDArray[np.float32]:
    """Stretch an image's contrast for display, equally in all channels so that hues stay the same.

    Args:
        image: `(H, W)` or `(H, W, C)`, any integer or float dtype.
        percentiles: Percentiles of all pixels that become 0 and 1.

    Returns:
        The same shape, float32 in [0, 1]; all 0 if the image is blank.
    """
    low, high = np.percentile(image, percentiles)
    pixels = image.astype(np.float32)
    return np.clip((pixels - low) / max(high - low, np.finfo(np.float32).tiny), 0, 1).astype(np.float32)


def read_every(source: ImageSource, window: Window, step: int) -> NDArray:
    """Read every `step`-th pixel of a window, band by band, from the coarsest level that is fine enough."""
    level = [each for each in (source, *source.levels) if each.shape[0] * step >= source.shape[0]][-1]
    rows, columns = (
        ((np.arange(start, stop, step) + 0.5) * count / length).astype(np.intp)
        for start, stop, count, length in zip(window[:2], window[2:], level.shape[:2], source.shape[:2], strict=True)
    )
    bands = []
    for some in np.split(rows, range(_BAND, len(rows), _BAND)):
        part = level.read(Window(int(some[0]), int(columns[0]), int(some[-1]) + 1, int(columns[-1]) + 1))
        bands.append(part[np.ix_(some - some[0], columns - columns[0])])
    return np.concatenate(bands)
