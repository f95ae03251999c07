"""The image with the nuclei's outlines, as PNG; a large image is shown smaller, a small one larger."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation
from skimage.measure import regionprops_table
from skimage.segmentation import find_boundaries

from nucseg.core.files import atomic_file
from nucseg.core.window import Window
from nucseg.images.channels import to_rgb
from nucseg.images.source import ImageSource
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.measurements.field import Field
from nucseg.reporting.pictures import read_every, stretch_contrast

LARGEST_SIDE = 4096
"""Pixels; of a larger image every second, third, ... pixel is shown."""

SMALLEST_SIDE = 1000
"""Pixels; each pixel of a smaller image is shown as a square of 2 x 2, 3 x 3, ..."""

_OUTLINE = (255, 200, 0)
_FONT_SIZES = (9, 26)  # pixels, of numbers in the smallest and the largest nuclei


def write(field: Field, path: Path) -> None:
    """Write the picture with outlines.

    Args:
        field: The nuclei and the image.
        path: The file.
    """
    _save(Image.fromarray(_drawn(field.nuclei, field.source)), path)


def write_numbered(field: Field, path: Path) -> None:
    """Write the picture with outlines and, in each nucleus, its number: its label and the `label` of its table row.

    Args:
        field: The nuclei and the image.
        path: The file.
    """
    nuclei = field.nuclei
    picture = Image.fromarray(_drawn(nuclei, field.source))
    step, factor = _scale(nuclei.shape)
    draw = ImageDraw.Draw(picture)
    for group in nuclei.blocks():
        found = regionprops_table(group.labels, properties=("label", "centroid", "equivalent_diameter_area"))
        rows, columns = ((found[f"centroid-{axis}"] + 0.5 + group.window[axis]) * factor / step for axis in (0, 1))
        sizes = np.clip(0.4 * found["equivalent_diameter_area"] * factor / step, *_FONT_SIZES)
        for label, row, column, size in zip(found["label"], rows, columns, sizes, strict=True):
            draw.text(
                (column, row),
                str(label + group.first - 1),
                fill="white",
                font=_font(round(size)),
                anchor="mm",
                stroke_width=1 + size // 14,
                stroke_fill="black",
            )
    _save(picture, path)


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _save(picture: Image.Image, path: Path) -> None:
    with atomic_file(path) as temporary:
        picture.save(temporary)


def _scale(shape: tuple[int, int]) -> tuple[int, int]:
    """Return which pixels are shown (every n-th), and the side in pixels of the square that each becomes."""
    longer = max(shape)
    return -(-longer // LARGEST_SIDE), max(1, -(-SMALLEST_SIDE // longer))


def _drawn(nuclei: StitchedLabels, source: ImageSource) -> NDArray[np.uint8]:
    height, width = nuclei.shape
    step, factor = _scale(nuclei.shape)
    rows = 256 * step
    windows = [Window(top, 0, min(top + rows, height), width) for top in range(0, height, rows)]
    image = read_every(source, Window.whole(nuclei.shape), step)
    labels = np.concatenate([nuclei.labels(window)[::step, ::step] for window in windows])
    picture, labels = (each.repeat(factor, 0).repeat(factor, 1) for each in (_eight_bit(image), labels))
    outlines = find_boundaries(labels, mode="inner")
    if factor > 1:  # a second pixel inwards
        outlines |= binary_dilation(outlines) & (labels > 0)
    if step == 1:  # otherwise little would be left of such small nuclei
        # Darker beside the line, so that it is visible on bright nuclei and bright tissue.
        picture[binary_dilation(outlines) & ~outlines] //= 3
    picture[outlines] = _OUTLINE
    return picture


def _eight_bit(image: NDArray) -> NDArray[np.uint8]:
    stretched = stretch_contrast(image, (0.1, 99.9))
    return np.ascontiguousarray(to_rgb((stretched * 255).round().clip(0, 255).astype(np.uint8)))
