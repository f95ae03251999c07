import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stardist.geometry import star_dist

from nucseg.models.stardist.rays import star_distances


def test_a_square():
    """From the middle of 5 x 5 pixels the border is 2.5 pixels away along the axes.

    On a diagonal the fourth step is the first outside, and half a pixel of the longer axis leads back from it:
    4 - 1 + 0.5 / sqrt(0.5).
    """
    labels = np.zeros((9, 11), np.int32)
    labels[2:7, 3:8] = 70_000
    distances = star_distances(labels, 8, 1)
    assert distances.shape == (9, 11, 8)
    assert distances.dtype == np.float32
    np.testing.assert_allclose(distances[4, 5], [2.5, 3 + np.sqrt(0.5)] * 4, rtol=1e-6)
    np.testing.assert_allclose(distances[2, 3, [0, 2, 4, 6]], [4.5, 4.5, 0.5, 0.5], rtol=1e-6)
    assert not distances[labels == 0].any()


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([3, 8, 32, 96]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 3, 8]),
)
def test_they_are_those_of_the_package(seed, shape, n_rays, grid, size):
    """Of single pixels and of larger regions, whatever touches whatever."""
    coarse = np.random.default_rng(seed).choice([0, 1, 3, 200], np.ceil(np.divide(shape, size)).astype(int))
    labels = np.kron(coarse, np.ones((size, size), int))[: shape[0], : shape[1]].astype(np.int32)
    expected = star_dist(labels.astype(np.uint16), n_rays, grid=(grid, grid))
    np.testing.assert_allclose(star_distances(labels, n_rays, grid), expected, atol=2e-5)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_an_image_without_pixels(shape):
    assert star_distances(np.zeros(shape, np.int32), 8, 2).size == 0
