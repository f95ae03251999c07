"""Draw the sample images of this folder: `python samples/draw.py [FOLDER]`."""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.draw import ellipse

from nucseg.images.io import write_image, write_labels

SHAPE = (256, 256)


def draw_labels(*, n_nuclei: int, radius: tuple[float, float], seed: int) -> NDArray[np.int32]:
    """Draw elliptic nuclei that do not touch.

    Args:
        n_nuclei: Number of attempts; a nucleus that would touch another is left out.
        radius: Smallest and largest half-axis in pixels.
        seed: Random seed for positions, sizes and rotations.

    Returns:
        Label image `SHAPE` int32, 1..N without gaps.
    """
    random = np.random.default_rng(seed)
    labels = np.zeros(SHAPE, np.int32)
    for _ in range(n_nuclei):
        row, column = random.uniform(0, SHAPE[0]), random.uniform(0, SHAPE[1])
        height, width = random.uniform(*radius, size=2)
        turn = random.uniform(0, np.pi)
        around = ellipse(row, column, height + 2, width + 2, shape=SHAPE, rotation=turn)
        inside = ellipse(row, column, height, width, shape=SHAPE, rotation=turn)
        if len(inside[0]) and not labels[around].any():
            labels[inside] = labels.max() + 1
    return labels


def draw_fluorescence(labels: NDArray[np.int32], seed: int) -> NDArray[np.uint16]:
    """Draw bright nuclei with chromatin texture on a dark, uneven background, `(H, W)` uint16."""
    random = np.random.default_rng(seed)
    brightness = np.concatenate([[0], random.uniform(3000, 9000, labels.max())])[labels]
    texture = 1 + 0.8 * gaussian_filter(random.standard_normal(SHAPE), 1.5)
    background = 300 + 200 * gaussian_filter(random.standard_normal(SHAPE), 40) * 40
    expected = gaussian_filter(brightness * texture, 1.2) + background
    return random.poisson(expected.clip(0)).astype(np.uint16)


def draw_histology(labels: NDArray[np.int32], seed: int) -> NDArray[np.uint8]:
    """Draw blue-violet nuclei on pink stroma, as haematoxylin and eosin stain them, `(H, W, 3)` uint8."""
    random = np.random.default_rng(seed)
    # Optical densities of the two stains in red, green and blue (Ruifrok and Johnston 2001).
    haematoxylin, eosin = np.array([0.65, 0.70, 0.29]), np.array([0.07, 0.99, 0.11])
    amount = np.concatenate([[0.05], random.uniform(0.7, 1.1, labels.max())])[labels]
    nuclei = gaussian_filter(amount * (1 + gaussian_filter(random.standard_normal(SHAPE), 1.5)), 0.8)
    stroma = 0.25 + 0.6 * gaussian_filter(random.standard_normal(SHAPE), 5)
    density = nuclei[..., None] * haematoxylin + stroma[..., None] * eosin
    grain = 0.01 * random.standard_normal((*SHAPE, 3))
    return (255 * (np.exp(-density.clip(0)) + grain).clip(0, 1)).round().astype(np.uint8)


def draw_all(folder: Path) -> None:
    """Write the two sample images and their label images into `folder`."""
    fluorescence = draw_labels(n_nuclei=120, radius=(7, 14), seed=1)
    histology = draw_labels(n_nuclei=160, radius=(6, 10), seed=2)
    write_image(folder / "fluorescence.tif", draw_fluorescence(fluorescence, seed=3))
    write_labels(folder / "fluorescence_labels.tif", fluorescence)
    write_image(folder / "histology.tif", draw_histology(histology, seed=4))
    write_labels(folder / "histology_labels.tif", histology)


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
