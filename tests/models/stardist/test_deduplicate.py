import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stardist.geometry import star_dist
from stardist.nms import non_maximum_suppression_inds
from stardist.utils import edt_prob

from nucseg.models.stardist.deduplicate import deduplicate


def circles(radii):
    """Return the distances, along 32 rays, of circles around points."""
    return np.repeat(np.asarray(radii, np.float32)[:, None], 32, axis=1)


def test_of_the_same_polygons_of_a_block_the_first_stays():
    points = np.array([[4, 4], [4, 6], [6, 4], [12, 4]])
    assert deduplicate(points, circles([10, 10, 10, 10]), 8).tolist() == [True, False, False, True]


def test_another_polygon_in_the_block_stays():
    # Of circles of 10 and 8 pixels around one point, 0.64 of the larger is common; of 10 and 9 pixels, 0.81.
    assert deduplicate(np.array([[4, 4]] * 3), circles([10, 8, 9]), 8).tolist() == [True, True, False]


def test_a_shifted_border_is_compared_where_it_lies():
    """A polygon seen from another point has other distances, and the same border."""
    labels = np.zeros((60, 60), np.int32)
    rows, columns = np.ogrid[:60, :60]
    labels[(rows - 30) ** 2 + (columns - 30) ** 2 < 20**2] = 1
    points = np.array([[30, 30], [30, 36]])
    distances = star_dist(labels, 32)[tuple(points.T)]
    assert (abs(distances[0] - distances[1]) > 5).any()
    assert deduplicate(points, distances, 40).tolist() == [True, False]


@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.sampled_from([1, 2, 8, 16]))
def test_the_best_of_each_block_stays(seed, n, side):
    generator = np.random.default_rng(seed)
    points = generator.integers(0, 50, (n, 2))
    stays = deduplicate(points, generator.uniform(0, 9, (n, 32)).astype(np.float32), side)
    assert stays.shape == (n,)
    seen = set()
    for block, kept in zip(map(tuple, points // side), stays, strict=True):
        assert kept or block in seen
        seen.add(block)


@pytest.mark.parametrize("seed", range(5))
def test_the_suppression_finds_the_same(draw_nuclei, seed):
    """Each pixel of touching nuclei proposes its nucleus, as a network does, with an error of some percent."""
    _, labels = draw_nuclei((96, 96), 14, seed=seed, gap=0)
    generator = np.random.default_rng(seed)
    scores = edt_prob(labels)
    points = np.argwhere(scores > 0.2)
    scores = scores[tuple(points.T)]
    order = np.argsort(-scores, kind="stable")
    points, scores = points[order], scores[order]
    distances = star_dist(labels, 32)[tuple(points.T)]
    distances = (distances * generator.normal(1, 0.03, (len(points), 1))).astype(np.float32)
    stays = deduplicate(points, distances, 16)
    assert stays.sum() < len(points) / 2

    def kept(which):
        inds = non_maximum_suppression_inds(
            distances[which], points[which], scores=scores[which], thresh=0.4, verbose=False
        )
        return points[which][inds].tolist()

    assert kept(stays) == kept(np.ones(len(points), bool))
