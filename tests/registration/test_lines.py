import numpy as np
import pytest

from nucseg.registration.lines import find_lines, slope_of_lines


@pytest.mark.parametrize("slope", [-0.15, -0.02, 0, 0.08])
def test_the_slope_is_found(slope):
    rng = np.random.default_rng(1)
    row, column = (each.ravel() for each in np.mgrid[:12, :15])
    x = 30.0 * column + rng.normal(0, 1, row.size)
    y = 25.0 * row + slope * x + rng.normal(0, 1, row.size)
    assert slope_of_lines(y, x, 25) == pytest.approx(slope, abs=0.004)


def test_lines_are_found_or_counted():
    rng = np.random.default_rng(2)
    places = np.array([0, 18, 50, 75, 99.0])
    values = np.concatenate([rng.normal(np.repeat(places, 10), 1), [35, 120]])
    np.testing.assert_allclose(find_lines(values, 5, 25), places, atol=1.5)
    assert find_lines(values, 4, 25) == find_lines(values, 6, 25) == 5


def test_an_empty_line_counts_only_in_an_even_gap():
    even = np.repeat([0, 20, 60, 80.0], 10) + np.tile([-0.5, 0.5], 20)
    np.testing.assert_allclose(find_lines(even, 5, 20), [0, 20, 40, 60, 80], atol=1)
    uneven = np.repeat([0, 20, 50, 70.0], 10) + np.tile([-0.5, 0.5], 20)
    assert find_lines(uneven, 5, 20) == 4
