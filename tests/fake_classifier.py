"""A classifier of patches that needs no network, and a slide on which it is known to be right."""

import numpy as np
from numpy.typing import NDArray
from skimage.draw import disk

PINK, VIOLET, DARK = (235, 200, 225), (110, 70, 150), (30, 5, 40)
"""Tissue, a nucleus and a mitosis."""


class DarkPatches:
    """Calls a patch a mitosis the more probably, the darker the middle of it is; `seen` holds all patches."""

    in_channels = 3
    stride = 1
    patch_size = 64
    pixel_size = 0.25
    classes = ("other", "mitosis")

    def __init__(self) -> None:
        self.thresholds = {"probability": 0.6, "temperature": 1.0}
        self.seen: list[NDArray[np.uint8]] = []

    def classify(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert patches.dtype == np.uint8
        assert patches.shape[1:] == (64, 64, 3)
        self.seen.extend(patches)
        return (1 - patches[:, 28:36, 28:36].mean((1, 2, 3)) / 128).clip(0, 1).astype(np.float32)


def draw_slide(
    shape: tuple[int, int], nuclei: list[tuple[float, float]], mitoses: list[tuple[float, float]], radius: float = 10
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Draw round nuclei and mitoses on tissue.

    Args:
        shape: (rows, columns).
        nuclei: Row and column of the centre of each.
        mitoses: The same of each mitosis.
        radius: Pixels, of both.

    Returns:
        RGB `(H, W, 3)` uint8, and the label image of both, nuclei first.
    """
    generator = np.random.default_rng(0)
    image = np.full((*shape, 3), PINK, np.uint8)
    labels = np.zeros(shape, np.int32)
    for number, (centre, colour) in enumerate([(c, VIOLET) for c in nuclei] + [(c, DARK) for c in mitoses], start=1):
        image[disk(centre, radius, shape=shape)] = colour
        labels[disk(centre, radius, shape=shape)] = number
    return image + generator.integers(0, 12, image.shape, dtype=np.uint8), labels
