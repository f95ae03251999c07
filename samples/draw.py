"""Draw the sample images of this folder: `python samples/draw.py [FOLDER]`."""

import sys
from pathlib import Path

import imageio.v3 as iio
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


def draw_marks(seed: int) -> NDArray[np.uint8]:
    """Draw the mask of 8 x 10 ablation marks, `(340, 440)` uint8, 255 in marks.

    The grid is turned and unevenly spaced. The laser failed at four places, joined two pairs of marks, and left dirt.
    """
    random = np.random.default_rng(seed)
    mask = np.zeros((340, 440), np.uint8)
    rows = 50 + np.cumsum(32 * random.uniform(0.8, 1.3, 8)) - 32
    columns = 50 + 38.0 * np.arange(10)
    turn = np.deg2rad(2)
    missing = {(1, 3), (2, 8), (5, 0), (6, 6)}
    for row in range(8):
        for column in range(10):
            if (row, column) in missing:
                continue
            y = rows[row] + turn * columns[column] + random.normal(0, 1)
            x = columns[column] - turn * rows[row] + random.normal(0, 1)
            mark = np.zeros_like(mask)
            mark[ellipse(y, x, 9, 8, shape=mask.shape)] = 255
            mark[ellipse(y + 1, x + 5, 7, 8, shape=mask.shape)] = 0
            mask |= mark
            if (row, column) in ((3, 4), (6, 2)):
                mask[round(y) - 9 : round(y) - 5, round(x) : round(x) + 36] = 255
    for y, x in random.integers(0, mask.shape, (30, 2)):
        mask[ellipse(y, x, 1.5, 1.5, shape=mask.shape)] = 255
    mask[ellipse(12, 250, 6, 12, shape=mask.shape)] = 255
    return mask


def draw_all(folder: Path) -> None:
    """Write the two sample images and their label images, and the mask of ablation marks, into `folder`."""
    fluorescence = draw_labels(n_nuclei=120, radius=(7, 14), seed=1)
    histology = draw_labels(n_nuclei=160, radius=(6, 10), seed=2)
    write_image(folder / "fluorescence.tif", draw_fluorescence(fluorescence, seed=3))
    write_labels(folder / "fluorescence_labels.tif", fluorescence)
    write_image(folder / "histology.tif", draw_histology(histology, seed=4))
    write_labels(folder / "histology_labels.tif", histology)
    (folder / "ablation").mkdir(exist_ok=True)
    iio.imwrite(folder / "ablation" / "marks.png", draw_marks(seed=5))


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
