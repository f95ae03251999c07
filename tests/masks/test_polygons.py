import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage
from skimage.measure import points_in_poly

from nucseg.masks.labels import fill_label_holes
from nucseg.masks.polygons import outlines


def painted(polygons, shape):
    """Paint the pixels whose centre a polygon holds."""
    centres = np.argwhere(np.ones(shape, bool)) + 0.5
    labels = np.zeros(shape, np.int32)
    for number, polygon in enumerate(polygons, start=1):
        if len(polygon):
            labels[points_in_poly(centres, polygon).reshape(shape)] = number
    return labels


def area(polygon):
    rows, columns = polygon.T
    return abs(np.dot(rows[:-1], columns[1:]) - np.dot(columns[:-1], rows[1:])) / 2


def corners(polygon):
    return {tuple(corner) for corner in polygon}


def test_outlines_by_hand():
    labels = np.array([[1, 0, 0, 0], [0, 0, 3, 3], [0, 0, 3, 0]], np.int32)
    one, none, angle = outlines(labels)
    assert corners(one) == {(0, 0), (0, 1), (1, 1), (1, 0)}
    assert len(one) == 5
    assert none.shape == (0, 2)
    assert corners(angle) == {(1, 2), (1, 4), (2, 4), (2, 3), (3, 3), (3, 2)}
    assert np.array_equal(angle[0], angle[-1])


def test_no_nuclei_have_no_outlines():
    assert outlines(np.zeros((3, 4), np.int32)) == []


def test_holes_and_smaller_parts_are_left_out():
    labels = np.ones((5, 9), np.int32)
    labels[2, 2] = 0
    labels[:, 5] = 0
    labels[1:, 6:] = 0
    (outline,) = outlines(labels)
    assert corners(outline) == {(0, 0), (0, 5), (5, 5), (5, 0)}


def test_parts_that_meet_at_a_corner_are_two():
    (outline,) = outlines(np.array([[1, 0, 0], [0, 1, 1]], np.int32))
    assert corners(outline) == {(1, 1), (1, 3), (2, 3), (2, 1)}


@given(arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3)))
def test_an_outline_holds_exactly_the_pixels_of_a_simple_nucleus(blobs):
    # Parts of equal value, holes filled, are nuclei of any shape without a hole.
    parts = np.zeros_like(blobs)
    for value in range(1, 4):
        found, _ = ndimage.label(blobs == value)
        parts[found > 0] = found[found > 0] + parts.max()
    filled = fill_label_holes(parts)
    polygons = outlines(filled)
    for number, polygon in enumerate(polygons, start=1):
        mask = filled == number
        if not mask.any() or not np.array_equal(ndimage.binary_fill_holes(mask), mask):
            continue  # it holds another nucleus
        assert np.array_equal(painted([polygon], mask.shape), mask)
        assert area(polygon) == mask.sum()
        steps = np.diff(polygon, axis=0)
        assert ((steps != 0).sum(axis=1) == 1).all()


def test_drawn_nuclei_come_back(draw_nuclei):
    _, labels = draw_nuclei((96, 80), 8, 0, gap=0)
    polygons = outlines(labels)
    assert np.array_equal(painted(polygons, labels.shape), labels)
    assert [area(polygon) for polygon in polygons] == pytest.approx(np.bincount(labels.ravel())[1:])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int64"])
def test_outlines_take_any_integer_dtype(dtype):
    assert len(outlines(np.ones((2, 2), dtype))[0]) == 5
