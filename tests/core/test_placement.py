import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucseg.core.placement import SAME, Placement

FACTORS = st.floats(0.25, 4)


def test_corners_and_centres_of_an_image_of_twice_the_size():
    half = Placement.between((8, 12, 3), (4, 6))
    assert half == Placement((0.5, 0.5))
    np.testing.assert_array_equal(half.corners(np.array([[0, 0, 8, 12]])), [[0, 0, 4, 6]])
    # The centre of pixel (1, 2) is at (1.5, 2.5), which is (0.75, 1.25): a quarter from the centres of (0, 1) and on.
    np.testing.assert_array_equal(half.centers(np.array([[1, 2]])), [[0.25, 0.75]])
    assert half.area(80) == 20


@given(scale=st.tuples(FACTORS, FACTORS), offset=st.tuples(st.floats(-9, 9), st.floats(-9, 9)))
def test_a_centre_is_between_the_corners_of_its_pixel(scale, offset):
    placement = Placement(scale, offset)
    pixels = np.array([[0, 0], [3, 7]])
    boxes = placement.corners(np.concatenate([pixels, pixels + 1], axis=1))
    np.testing.assert_allclose((boxes[:, :2] + boxes[:, 2:]) / 2 - 0.5, placement.centers(pixels), atol=1e-4)


def test_an_area_that_is_an_integer_stays_one():
    assert Placement((256 / 448, 256 / 448)).area(25 * 1.75**2) == 25


@given(scale=st.tuples(FACTORS, FACTORS), offset=st.tuples(st.floats(-2, 2), st.floats(-2, 2)))
def test_values_are_interpolated_where_the_centres_of_the_pixels_lie(scale, offset):
    """Of a plane that is what each pixel's centre would have, as far as there are pixels."""
    placement = Placement(scale, offset)
    rows, columns = np.mgrid[:30, :40].astype(np.float32)
    found = placement.resampled(3 * rows + columns, (12, 9))
    inverse = ((np.indices((12, 9)) + 0.5).T - offset) / scale - 0.5
    inside = np.clip(inverse, 0, [29, 39])
    np.testing.assert_allclose(found, (3 * inside[..., 0] + inside[..., 1]).T, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_image_itself_is_not_copied(dtype):
    values = np.ones((3, 4), dtype)
    assert SAME.resampled(values, (3, 4)) is values
