import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nucseg.datasets.points import NEGATIVE, POSITIVE, draw_points, find_negatives, places


def section(shape: tuple[int, int], spots: list[tuple[int, int]]) -> np.ndarray:
    """A pale image with dark spots, the first one the darkest."""
    ink = np.zeros(shape)
    for number, (row, column) in enumerate(spots):
        ink[row, column] = 1 - 0.1 * number
    ink = gaussian_filter(ink, 4)
    return np.repeat((230 - 200 * ink / ink.max())[..., None], 3, axis=2).astype(np.uint8)


def test_points_are_drawn_and_read() -> None:
    points = draw_points((10, 20), np.array([0, 9.9]), np.array([19.5, 3]))
    np.testing.assert_array_equal(places(points), [(0, 19), (9, 3)])
    assert len(places(points, NEGATIVE)) == 0


def test_negatives_are_dark_spots_away_from_points_the_darkest_first() -> None:
    spots = [(64, 64), (30, 30), (98, 96), (64, 90), (4, 100)]
    points = draw_points((128, 128), np.array([64]), np.array([64]))
    found = find_negatives(section((128, 128), spots), points, distance=40, margin=16)
    np.testing.assert_allclose(found[:2], [(30, 30), (98, 96)], atol=1)  # (64, 90) is too near, (4, 100) at the border
    assert (np.hypot(*(found - 64).T) >= 40).all()
    assert (found >= 16).all()
    assert (found <= 112).all()


def test_corners_serve_where_there_are_no_spots() -> None:
    blank = np.full((128, 128, 3), 255, np.uint8)
    points = draw_points((128, 128), np.array([64]), np.array([64]))
    found = find_negatives(blank, points, distance=40, margin=32, at_most=3)
    assert {tuple(place) for place in found.tolist()} <= {(32, 32), (32, 96), (96, 32), (96, 96)}
    assert len(found) == 3


def test_small_images_have_the_annotated_negatives_alone() -> None:
    image = section((64, 64), [(10, 10)])
    assert len(find_negatives(image, np.zeros((64, 64), int), distance=8, margin=0)) == 0
    points = draw_points((64, 64), np.array([32]), np.array([32]), NEGATIVE)
    np.testing.assert_array_equal(find_negatives(image, points, distance=8, margin=0), [(32, 32)])


@pytest.mark.parametrize("at_most", [1, 2])
def test_no_more_than_asked_for(at_most: int) -> None:
    points = draw_points((128, 128), np.array([64]), np.array([64]), POSITIVE)
    found = find_negatives(
        section((128, 128), [(20, 20), (100, 20), (20, 100)]), points, distance=30, margin=8, at_most=at_most
    )
    assert len(found) == at_most
