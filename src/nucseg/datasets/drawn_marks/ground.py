"""What the marks lie on: matrix, tissue, uneven light, dirt."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray


def blurred(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Return the image after a Gaussian of this standard deviation in pixels; as it is below 0.2."""
    return cv2.GaussianBlur(image, (0, 0), sigma).astype(np.float32, copy=False) if sigma >= 0.2 else image


def noise(rng: Generator, height: int, width: int, sigma: float) -> NDArray[np.float32]:
    """Return (height, width) float32 noise of mean 0 and deviation 1 whose grains are about `sigma` pixels wide.

    Coarse noise is drawn small and enlarged, as Gaussians of many pixels are slow.
    """
    shrink = max(int(sigma / 2), 1)
    small = (-(-height // shrink) + 4, -(-width // shrink) + 4)
    grains = blurred(rng.standard_normal(small, dtype=np.float32), sigma / shrink)
    if shrink > 1:
        size = (small[1] * shrink, small[0] * shrink)
        grains = cv2.resize(grains, size, interpolation=cv2.INTER_CUBIC).astype(np.float32, copy=False)
    return _standardized(grains[:height, :width])


def _standardized(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return (image - image.mean()) / (image.std() + 1e-6)


def draw_ground(rng: Generator, height: int, width: int, scale: float) -> NDArray[np.float32]:
    """Draw matrix on glass or tissue, before any mark.

    Args:
        rng: The source of all choices.
        height: Rows of pixels.
        width: Columns of pixels.
        scale: Enlargement of all structures; 1 for marks that are about 70 pixels apart.

    Returns:
        (height, width) float32 brightness, from 0 for black to 1 for white.
    """
    fine = rng.uniform(0.4, 1.6) * scale
    grains = noise(rng, height, width, fine)
    grains += rng.uniform(0, 1) * noise(rng, height, width, fine * rng.uniform(1.5, 3))
    grains += rng.uniform(0, 0.5) * noise(rng, height, width, fine * rng.uniform(4, 9))
    if rng.random() < 0.25:
        grains += rng.uniform(0.2, 0.8) * _wrinkles(rng, height, width, scale)
    if rng.random() < 0.3:
        grains += rng.uniform(0.3, 1.2) * _cells(rng, height, width, scale)
    grains = _standardized(grains)
    # Bright grains stand out more than dark ones: the deviation is one of the logarithm.
    depth = rng.uniform(0.15, 0.6) * (1 + rng.uniform(0, 0.25) * noise(rng, height, width, 60 * scale)).clip(0.3)
    light = np.exp(0.25 * rng.random() ** 2 * noise(rng, height, width, rng.uniform(60, 200)))
    level = rng.uniform(0.1, 0.42) if rng.random() < 0.85 else rng.uniform(0.42, 0.75)
    ground = level * light * np.exp(depth * grains - depth**2 / 2)
    # Crystals of the matrix that reflect.
    sparkling = noise(rng, height, width, rng.uniform(0.3, 0.7) * scale) > rng.uniform(2.3, 4)
    ground += rng.uniform(0, 0.5) * sparkling
    return np.clip(ground, 0, 1).astype(np.float32)


def _wrinkles(rng: Generator, height: int, width: int, scale: float) -> NDArray[np.float32]:
    """Return noise drawn out in one direction."""
    grains = rng.standard_normal((height, width), dtype=np.float32)
    long, angle = rng.uniform(4, 12) * scale, rng.uniform(0, np.pi)
    side = 2 * int(2 * long) + 1
    line = np.zeros((side, side), np.float32)
    reach = np.array([np.cos(angle), np.sin(angle)]) * long
    ends = [tuple(np.round(side // 2 + sign * reach).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(line, ends[0], ends[1], 1.0)
    drawn_out = cv2.filter2D(grains, -1, line).astype(np.float32, copy=False)
    return _standardized(blurred(drawn_out, 0.7 * scale))


def _cells(rng: Generator, height: int, width: int, scale: float) -> NDArray[np.float32]:
    """Return outlines or bodies of cells under the matrix, darker or brighter than what is round them."""
    picture = np.zeros((height, width), np.float32)
    radius = rng.uniform(6, 22) * scale
    filled = rng.random() < 0.4
    sign = rng.choice([-1.0, 1.0])
    for _ in range(min(int(rng.uniform(0.05, 0.35) * height * width / radius**2), 400)):
        centre = rng.uniform(0, [width, height]).round().astype(int).tolist()
        axes = (radius * rng.uniform(0.6, 1.3, 2)).round().astype(int).tolist()
        thickness = -1 if filled else max(round(rng.uniform(0.5, 1.5) * scale), 1)
        tone = float(sign * rng.uniform(0.5, 2))
        cv2.ellipse(picture, centre, axes, rng.uniform(0, 180), 0, 360, tone, thickness, cv2.LINE_AA)
    return blurred(picture, rng.uniform(0.5, 2) * scale)


def add_dirt(rng: Generator, image: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Add what lies on the slide and is no mark: blurred drops, dark holes, bright flakes and fibres.

    Args:
        rng: The source of all choices.
        image: (height, width) float32 brightness, from 0 to 1.
        scale: Enlargement, as for `draw_ground`.

    Returns:
        A new image of the same shape, dtype and range.
    """
    height, width = image.shape
    places = height * width / (512 * 512)

    def stain(number: float, reach: tuple[float, float], sigma: float, fibre: bool = False) -> NDArray[np.float32]:
        canvas = np.zeros((height, width), np.float32)
        for _ in range(rng.poisson(number * places)):
            centre = rng.uniform(0, [width, height])
            size = rng.uniform(*reach) * scale
            if fibre:
                steps = np.cumsum(rng.normal(rng.uniform(-3, 3, 2), 1.5, (rng.integers(4, 25), 2)), axis=0) * scale
                line = (16 * (centre + steps)).round().astype(np.int32)
                cv2.polylines(canvas, [line], False, 1.0, max(round(size), 1), cv2.LINE_AA, 4)
                continue
            angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
            outline = np.stack([np.cos(angles) * rng.uniform(0.5, 1), np.sin(angles)], axis=1)
            outline = centre + size * outline * rng.uniform(0.6, 1.3, (16, 1))
            cv2.fillPoly(canvas, [(16 * outline).round().astype(np.int32)], 1.0, cv2.LINE_AA, 4)
        return blurred(canvas, sigma * scale)

    if rng.random() < 0.5:  # drops out of focus
        drops = rng.uniform(0.15, 0.6) * stain(2, (4, 18), rng.uniform(2, 5))
        image = image + drops * (rng.uniform(0.3, 1) - image)
    if rng.random() < 0.6:  # holes and grains, dark
        image = image * (1 - rng.uniform(0.4, 1) * stain(rng.uniform(1, 14), (1, 5), 0.7))
    if rng.random() < 0.5:  # flakes, bright and irregular, smaller than marks
        image = image + rng.uniform(0.2, 0.8) * stain(rng.uniform(1, 10), (0.7, 2.5), 0.6)
    if rng.random() < 0.2:  # fibres and scratches
        image = image + rng.choice([-1, 1]) * rng.uniform(0.1, 0.6) * stain(3, (0.7, 2), 0.6, fibre=True)
    return np.clip(image, 0, 1)
