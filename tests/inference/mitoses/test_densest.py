import itertools

import numpy as np
import pytest

from nucseg.inference.mitoses.densest import densest_field


def largest_count(points, radius):
    """Count, by brute force, the points in every circle that has two points on its border, or one at its centre."""
    centres = list(points)
    for first, second in itertools.combinations(points, 2):
        half = (second - first) / 2
        height = radius**2 - (half**2).sum()
        if height >= 0 and half.any():
            normal = np.array([-half[1], half[0]]) / np.hypot(*half) * np.sqrt(height)
            centres += [first + half + normal, first + half - normal]
    return max(int((np.hypot(*(points - centre).T) <= radius * (1 + 1e-9)).sum()) for centre in centres)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spread", [1.0, 4.0, 20.0])
def test_no_circle_holds_more(seed, spread) -> None:
    points = np.random.default_rng(seed).uniform(0, spread, (20, 2))
    field = densest_field(points, np.pi)
    assert field.radius == pytest.approx(1)
    assert field.count == largest_count(points, 1.0)
    inside = np.hypot(*(points - field.centre).T) <= 1 + 1e-9
    assert inside.sum() == field.count


def test_by_hand() -> None:
    assert densest_field(np.zeros((0, 2)), 1) is None
    alone = densest_field(np.array([[3.0, 4.0]]), np.pi)
    assert (alone.count, alone.centre) == (1, (3.0, 4.0))
    # Two that are a diameter apart lie on the border of one circle, three in a row of that distance do not.
    apart = np.array([[0.0, 0.0], [0.0, 1.999], [0.0, 3.998]])
    assert densest_field(apart, np.pi).count == 2
    same = np.array([[1.0, 1.0]] * 4 + [[9.0, 9.0]])
    assert densest_field(same, np.pi).count == 4
