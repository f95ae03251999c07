"""The image with the nuclei's outlines, as PNG; a large image is shown smaller."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.segmentation import find_boundaries

from nucseg.core.files import atomic_file
from nucseg.core.window import Window
from nucseg.images.channels import to_rgb
from nucseg.images.source import ImageSource
from nucseg.inference.mosaic import Mosaic
from nucseg.reporting.overlay import stretch_contrast

LARGEST_SIDE = 4096
"""Pixels; of a larger image every second, third, ... pixel is shown."""

_OUTLINE = (255, 200, 0)


def write(nuclei: Mosaic, source: ImageSource, path: Path, name: str) -> None:
    """Write the picture.

    Args:
        nuclei: What was found.
        source: The image.
        path: The file.
        name: Not used.
    """
    height, width = nuclei.shape
    step = -(-max(height, width) // LARGEST_SIDE)
    rows = 256 * step
    windows = [Window(top, 0, min(top + rows, height), width) for top in range(0, height, rows)]
    image = np.concatenate([source.read(window)[::step, ::step] for window in windows])
    labels = np.concatenate([nuclei.labels(window)[::step, ::step] for window in windows])
    picture = _eight_bit(image)
    picture[find_boundaries(labels, mode="inner")] = _OUTLINE
    with atomic_file(path) as temporary:
        Image.fromarray(picture).save(temporary)


def _eight_bit(image: NDArray) -> NDArray[np.uint8]:
    stretched = stretch_contrast(image, (0.1, 99.9))
    return np.ascontiguousarray(to_rgb((stretched * 255).round().clip(0, 255).astype(np.uint8)))
