"""One drawn image of ablation marks and its mask."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from nucseg.datasets.drawn_marks.ground import add_dirt, blurred, draw_ground, noise
from nucseg.datasets.drawn_marks.places import place_marks
from nucseg.datasets.drawn_marks.shapes import Mark, choose_shape

_EMPTY_SHARE = 0.05
# Contours are drawn in sixteenths of a pixel.
_FRACTION_BITS = 4


def draw_marks(seed: int, height: int = 512, width: int = 512) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw a grey microscopy image after imaging mass spectrometry, and the mask of its ablation marks.

    A mark is where the laser has removed the matrix: a flat tone in a grainy ground, bright, dark or neither, with or
    without a dark rim. Marks are 15 to 60 pixels wide and 25 to 120 apart. One image in twenty has none.

    Args:
        seed: The choice of the image; the same seed and size give the same image with the same versions of NumPy and
            OpenCV.
        height: Rows of pixels.
        width: Columns of pixels.

    Returns:
        (height, width) uint8 image, and (height, width) uint8 mask, 1 in marks and 0 elsewhere.

    Raises:
        ValueError: A size below one pixel, or a negative seed.
    """
    if height < 1 or width < 1:
        raise ValueError(f"an image of {height} x {width} pixels cannot be drawn; both must be at least 1.")
    rng = np.random.default_rng(seed)
    scale = float(np.exp(rng.uniform(np.log(0.45), np.log(1.5))))
    image = draw_ground(rng, height, width, scale)
    removed = _Removed(np.zeros((height, width), bool), image)
    if rng.random() >= _EMPTY_SHARE:
        pitch = rng.uniform(55, 80) * scale
        positions = place_marks(rng, height, width, pitch)
        diameter = pitch * rng.uniform(0.4, 0.75)
        shape = choose_shape(rng)
        marks = [(position, shape()) for position in positions]
        removed = _fill(rng, marks, diameter, height, width, scale)
        image = _ablate(rng, image, removed, scale)
        image = _hollow(rng, image, removed.mask, positions, diameter)
    image = add_dirt(rng, image, scale)
    return _record(rng, image, scale), removed.mask.astype(np.uint8)


@dataclass(frozen=True)
class _Removed:
    """Where the matrix is gone.

    Attributes:
        mask: (height, width) bool.
        strength: (height, width) float32, how clean each mark is: about 1, down to 0.5.
    """

    mask: NDArray[np.bool_]
    strength: NDArray[np.float32]


def _fill(
    rng: Generator,
    marks: list[tuple[NDArray[np.float64], Mark]],
    diameter: float,
    height: int,
    width: int,
    scale: float,
) -> _Removed:
    """Fill the outlines of all marks, and fray their borders."""
    cover = np.zeros((height, width), np.float32)
    strength = np.ones((height, width), np.float32)
    unequal = rng.uniform(0, 0.2)
    for position, mark in marks:
        contours = [
            np.round((position + diameter * contour)[:, ::-1] * 2**_FRACTION_BITS).astype(np.int32) for contour in mark
        ]
        cv2.fillPoly(cover, contours, 1.0, cv2.LINE_AA, _FRACTION_BITS)
        level = float(np.clip(rng.normal(1, unequal), 0.55, 1.1))
        cv2.fillPoly(strength, contours, level, cv2.LINE_8, _FRACTION_BITS)
    sigma = 0.7 * scale
    frayed = blurred(cover, sigma) + rng.uniform(0, 0.25) * noise(rng, height, width, rng.uniform(0.6, 2) * scale) * (
        np.abs(blurred(cover, 2 * sigma) - 0.5) < 0.45
    )
    return _Removed(frayed > 0.5, strength)


def _ablate(rng: Generator, image: NDArray[np.float32], removed: _Removed, scale: float) -> NDArray[np.float32]:
    """Show the bare glass in the marks, with the rim that the laser leaves round them."""
    height, width = image.shape
    ground = float(image.mean())
    bright, rimmed = rng.choice([(True, False), (True, True), (False, False), (False, True)], p=[0.6, 0.1, 0.1, 0.2])
    if bright:
        tone = ground + max(rng.uniform(0.25, 0.95) * (1 - ground), 1.5 * float(image.std()))
    elif rimmed:  # as bright as the ground: only flatness and rim tell
        tone = ground * rng.uniform(0.6, 1.3)
    else:
        tone = ground * rng.uniform(0.1, 0.6)
    inside = np.full_like(image, tone)
    inside *= 1 + rng.uniform(0, 0.08) * noise(rng, height, width, 8 * scale)
    inside += rng.uniform(0, 0.12) * tone * noise(rng, height, width, 0.6 * scale)
    remains = rng.uniform(0, 0.35)
    inside += remains * (image - blurred(image, 6 * scale))
    soft = blurred(removed.mask.astype(np.float32), rng.uniform(0.3, 1.0) * scale)
    clean = np.clip(soft * removed.strength, 0, 1)
    result = image * (1 - clean) + inside * clean
    if rimmed:
        reach = rng.uniform(0.8, 2.2) * scale
        wide = cv2.dilate(removed.mask.astype(np.float32), np.ones((3, 3)), iterations=max(round(reach), 1))
        broken = (0.7 + 0.6 * noise(rng, height, width, 5 * scale)).clip(0, 1)
        rim = blurred(wide.astype(np.float32, copy=False), 0.5 * reach) * (1 - soft) * broken
        result *= 1 - rng.uniform(0.4, 0.95) * rim
    elif rng.random() < 0.3:  # what was removed lies around
        spread = blurred(removed.mask.astype(np.float32), rng.uniform(2, 6) * scale) * (1 - soft)
        thrown = spread * (noise(rng, height, width, rng.uniform(0.7, 2) * scale) > rng.uniform(0, 1.5))
        result += rng.uniform(0.2, 1) * (tone - result) * thrown
    return result


def _hollow(
    rng: Generator, image: NDArray[np.float32], mask: NDArray[np.bool_], positions: NDArray[np.float64], diameter: float
) -> NDArray[np.float32]:
    """Darken the middle of the spots, where the mark does not cover it, in some images."""
    if rng.random() < 0.6:
        return image
    spots = np.zeros(image.shape, np.float32)
    for y, x in positions + rng.normal(0, 0.05 * diameter, positions.shape):
        if rng.random() < 0.8:
            axes = np.round(diameter * rng.uniform(0.15, 0.3, 2)).astype(int).tolist()
            cv2.ellipse(spots, (round(x), round(y)), axes, rng.uniform(0, 180), 0, 360, float(rng.uniform(0.3, 1)), -1)
    spots = blurred(spots, 0.08 * diameter) * ~mask
    return image * (1 - rng.uniform(0.1, 0.7) * spots)


def _record(rng: Generator, image: NDArray[np.float32], scale: float) -> NDArray[np.uint8]:
    """Return what the camera makes of the scene: light, focus, noise, contrast, eight bits."""
    height, width = image.shape
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    slope = rng.normal(0, 0.08, 2)
    image = image * (1 + slope[0] * rows + slope[1] * columns - rng.uniform(0, 0.15) * (rows**2 + columns**2))
    image = blurred(image, rng.choice([0, rng.uniform(0.2, 0.8), rng.uniform(0.8, 1.8)], p=[0.4, 0.45, 0.15]) * scale)
    image = image + rng.uniform(0, 0.03) * rng.standard_normal((height, width), dtype=np.float32)
    if rng.random() < 0.3:  # as percentiles 1 and 99 of the image, which the preparation often makes black and white
        low, high = np.percentile(image, [1, 99])
        image = ((image - low) / max(high - low, 0.05)).astype(np.float32)
    return np.round(255 * image.clip(0, 1) ** rng.uniform(0.75, 1.3)).astype(np.uint8)
