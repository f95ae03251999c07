import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stardist.geometry import polygons_to_label

from nucseg.models.stardist.drawing import draw_polygons


def test_a_diamond():
    """Four rays of two pixels: what is no further than two steps away, corners and borders among it."""
    labels = draw_polygons(np.full((1, 4), 2, np.float32), np.array([[3, 4]]), (7, 9))
    rows, columns = np.mgrid[:7, :9]
    np.testing.assert_array_equal(labels, np.abs(rows - 3) + np.abs(columns - 4) <= 2)
    assert labels.dtype == np.int32


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([3, 8, 32]), st.floats(0.5, 40))
def test_it_is_what_the_package_draws(seed, n, n_rays, longest):
    """Also where polygons overlap and where they reach, or lie wholly, beyond the image."""
    generator = np.random.default_rng(seed)
    shape = (40, 57)
    points = generator.integers((-5, -5), (45, 62), (n, 2))
    distances = generator.uniform(1e-3, longest, (n, n_rays)).astype(np.float32)
    falling = np.arange(n, 0, -1, dtype=np.float32)
    expected = polygons_to_label(distances, points, shape, prob=falling)
    np.testing.assert_array_equal(draw_polygons(distances, points, shape), expected)


@pytest.mark.parametrize("order", [1, -1])
def test_the_first_is_on_top(order):
    points = np.array([[5, 5], [5, 8]])[::order]
    labels = draw_polygons(np.full((2, 32), 4, np.float32), points, (11, 14))
    assert labels[5, 6] == 1
    assert set(np.unique(labels)) == {0, 1, 2}


def test_nothing_to_draw():
    assert not draw_polygons(np.zeros((0, 32), np.float32), np.zeros((0, 2), np.int64), (4, 5)).any()
