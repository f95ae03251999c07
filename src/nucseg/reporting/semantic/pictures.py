"""The picture of a class map: the image, truth, prediction, and where they differ."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.segmentation import find_boundaries

from nucseg.core.types import VOID
from nucseg.images.channels import to_rgb
from nucseg.reporting.pictures import stretch_contrast
from nucseg.reporting.semantic.colours import coloured

COLOURS = {"missed": "#E69F00", "false": "#D55E00"}
"""Of objects that are missed, and of false ones."""

_PERCENTILES = (0.5, 99.8)
_SHADE = 0.45  # of the classes' colours over the image
_GAP = 6  # pixels between two panels
_SMALLEST = 256  # pixels a side below which a picture is enlarged


def draw_classes(image: NDArray, truth: NDArray, predicted: NDArray[np.uint8]) -> Image.Image:
    """Draw image, truth, prediction and errors side by side.

    Args:
        image: `(H, W)` or `(H, W, 3)`, as stored.
        truth: Class map `(H, W)`; void is white.
        predicted: Class map `(H, W)`.

    Returns:
        Truth and prediction lie over the image in VOC's colours, with outlines. In the last panel, pixels of class 0
        that are called another class are shown like false objects, and all other wrong ones like missed objects.
    """
    grey = np.rint(255 * stretch_contrast(to_rgb(image), _PERCENTILES)).astype(np.uint8)
    panels = [grey, _over(grey, truth), _over(grey, predicted), _errors(grey, truth, predicted)]
    gap = np.full((grey.shape[0], _GAP, 3), 255, np.uint8)
    row = [part for panel in panels for part in (gap, panel)][1:]
    picture = Image.fromarray(np.concatenate(row, 1))
    zoom = max(-(-_SMALLEST // min(grey.shape[:2])), 1)
    return picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST)


def _over(grey: NDArray[np.uint8], classes: NDArray) -> NDArray[np.uint8]:
    shown = classes != 0
    colours = coloured(classes.astype(np.uint8))
    mixed = np.where(shown[..., None], (1 - _SHADE) * grey + _SHADE * colours, grey)
    lines = find_boundaries(classes, mode="inner") & shown & (classes != VOID)
    return np.where(lines[..., None], colours, mixed).astype(np.uint8)


def _errors(grey: NDArray[np.uint8], truth: NDArray, predicted: NDArray[np.uint8]) -> NDArray[np.uint8]:
    wrong = (truth != predicted) & (truth != VOID)
    picture = grey // 2
    picture[wrong] = _rgb(COLOURS["missed"])
    picture[wrong & (truth == 0)] = _rgb(COLOURS["false"])
    return picture


def _rgb(colour: str) -> NDArray[np.uint8]:
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)], np.uint8)
