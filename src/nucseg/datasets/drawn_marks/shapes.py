"""Outlines of single ablation marks: where the laser has removed the matrix."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

# The closed contours (y, x) of one mark in units of its diameter, round (0, 0); filled by the even-odd rule.
Mark = list[NDArray[np.float64]]

_ANGLES = np.linspace(0, 2 * np.pi, 48, endpoint=False)


def choose_shape(rng: Generator) -> Callable[[], Mark]:
    """Choose the kind of mark of one image; the laser repeats it with small differences.

    Args:
        rng: The source of the choices, here and in each mark.

    Returns:
        What draws the next mark.
    """
    kinds = (_crescents, _horned, _discs, _rings, _partly_filled)
    shape = kinds[rng.choice(len(kinds), p=[0.55, 0.15, 0.12, 0.08, 0.1])](rng)
    # One image comes from one microscope: all its marks look the same way.
    turn = rng.normal(0, 0.2) if rng.random() < 0.6 else rng.uniform(0, 2 * np.pi)
    mirrored = rng.random() < 0.3
    stretch = rng.uniform(0.85, 1.2)
    differing = rng.uniform(0.02, 0.15)

    def draw() -> Mark:
        angle = turn + rng.normal(0, differing)
        size = rng.normal(1, differing)
        # A few marks are cut short or hardly begun.
        if rng.random() < 0.04:
            size *= rng.uniform(0.4, 0.8)
        sine, cosine = np.sin(angle), np.cos(angle)
        matrix = np.array([[cosine, sine], [-sine, cosine]]) @ np.diag([(-1 if mirrored else 1) * stretch, 1 / stretch])
        return [contour @ (size * matrix.T) for contour in shape()]

    return draw


def _crescents(rng: Generator) -> Callable[[], Mark]:
    """Return what draws a C that opens to the right, its lower arm drawn out to a tail."""
    width = rng.uniform(0.09, 0.24)
    sharp = rng.uniform(1, 2) if rng.random() < 0.6 else 1.0  # above 1 the arc becomes a chevron
    thin = rng.uniform(0.1, 0.45)
    upper, lower = rng.uniform(0.25, 0.8) * np.pi, rng.uniform(0.15, 0.7) * np.pi
    tail = rng.uniform(0.1, 0.6) if rng.random() < 0.7 else 0.0

    def draw() -> Mark:
        start = np.pi + upper * rng.normal(1, 0.08)
        end = np.pi - lower * rng.normal(1, 0.08)
        arc = np.linspace(start, end, 20)
        # The image's y points down: the arc begins at the top.
        line = 0.4 * np.stack([np.sin(arc), np.cos(arc)], axis=1)
        line[:, 1] = 0.4 * (2 * ((line[:, 1] / 0.4 + 1) / 2) ** (1 / sharp) - 1)
        if tail:
            direction = np.array([0.55, 0.85]) + rng.normal(0, 0.06, 2)
            line = np.concatenate(
                [line, line[-1] + np.linspace(0.06, tail * rng.uniform(0.6, 1.2), 8)[1:, None] * direction]
            )
        along = np.linspace(-1, 1, len(line))
        thick = (
            width
            * rng.normal(1, 0.15)
            * (thin + (1 - thin) * (1 - np.abs(along - rng.normal(-0.15, 0.1))).clip(0) ** 1.3)
        )
        thick[[0, -1]] *= 0.3
        thick *= 1 + 0.12 * rng.normal(size=len(line))
        normal = np.gradient(line, axis=0)[:, ::-1] * [1, -1]
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
        offset = thick[:, None] * normal
        return [np.concatenate([line + offset, (line - offset)[::-1]])]

    return draw


def _star(rng: Generator, radius: float | NDArray[np.float64], bumps: float) -> NDArray[np.float64]:
    """Return the closed outline whose distance from the middle is `radius` at each angle, bumpy."""
    waves = np.arange(2, 9)
    strength = rng.normal(0, bumps, len(waves)) / waves
    phases = rng.uniform(0, 2 * np.pi, len(waves))
    reach = radius * (1 + (strength * np.cos(_ANGLES[:, None] * waves + phases)).sum(axis=1))
    return reach[:, None] * np.stack([np.sin(_ANGLES), np.cos(_ANGLES)], axis=1)


def _horned(rng: Generator) -> Callable[[], Mark]:
    """Return what draws a blunt body with one to three thin horns, mostly at the top."""
    horns = rng.normal(-np.pi / 2, 0.9, rng.integers(1, 4))
    heights = rng.uniform(0.4, 1.1, len(horns))
    body = rng.uniform(0.24, 0.34)
    squareness = rng.uniform(0, 0.12)
    bumps = rng.uniform(0.05, 0.2)

    def draw() -> Mark:
        radius = body * (1 + squareness * np.cos(4 * (_ANGLES - np.pi / 4)))
        for angle, height in zip(horns + rng.normal(0, 0.1, len(horns)), heights, strict=True):
            away = np.angle(np.exp(1j * (_ANGLES - angle)))
            radius = radius + body * height * rng.normal(1, 0.2) * np.exp(-((away / 0.22) ** 2) / 2)
        return [_star(rng, radius, bumps)]

    return draw


def _discs(rng: Generator) -> Callable[[], Mark]:
    """Return what draws a bumpy disc."""
    bumps = rng.uniform(0.02, 0.3)
    return lambda: [_star(rng, 0.42, bumps)]


def _rings(rng: Generator) -> Callable[[], Mark]:
    """Return what draws a ring, its hole somewhat aside."""
    bumps = rng.uniform(0.02, 0.2)
    hole = rng.uniform(0.12, 0.3)
    aside = rng.normal(0, 0.04, 2)
    return lambda: [_star(rng, 0.44, bumps), _star(rng, hole * rng.normal(1, 0.1), bumps) + aside]


def _partly_filled(rng: Generator) -> Callable[[], Mark]:
    """Return what draws a disc in two lobes with a gap between them; now and then one lobe is missing."""
    bumps = rng.uniform(0.05, 0.3)
    gap = rng.uniform(0.03, 0.14)
    cut = rng.uniform(0, np.pi)
    middle = rng.normal(0, 0.08)
    single = rng.choice([0.0, 0.0, 0.3, 1.0])

    def draw() -> Mark:
        outline = _star(rng, 0.46, bumps)
        angle = cut + rng.normal(0, 0.15)
        across = np.array([np.sin(angle), np.cos(angle)])
        lobes = []
        for side in (-1, 1):
            # Points behind the cut are pulled onto it.
            short = (gap / 2 * rng.uniform(0.5, 1.5) - side * (outline @ across - middle)).clip(0)
            lobes.append(outline + side * short[:, None] * across)
        return lobes[rng.integers(2) :][:1] if rng.random() < single else lobes

    return draw
