import numpy as np
import pytest
from skimage.draw import disk

from mosaics import mosaic_of, mosaic_of_tiles
from nucseg.core.types import Instances
from nucseg.inference.instances.large import add_large

SIDE, LARGEST, SCORE = 400, 120.0, 0.5
SMALL = [((40, 40), 10), ((40, 90), 12)]
LARGE = ((250, 250), 45)


def found(*discs, scores=None):
    """Discs of a centre and a radius; later ones lie above earlier ones."""
    labels = np.zeros((SIDE, SIDE), np.int32)
    for number, (centre, radius) in enumerate(discs, start=1):
        labels[disk(centre, radius, shape=labels.shape)] = number
    falling = np.linspace(0.9, 0.6, max(len(discs), 1), dtype=np.float32)[: len(discs)]
    return Instances(labels, falling if scores is None else np.array(scores, np.float32))


def added(full, **scales):
    looked = []

    def at(scale):
        looked.append(scale)
        return mosaic_of({0.5: scales["half"], 0.25: scales["quarter"]}[scale])

    given = full if hasattr(full, "parts") else mosaic_of(full)
    both = add_large(given, at, SCORE, LARGEST)
    return (None if both is given else both.instances()), looked


@pytest.mark.parametrize("side", [None, 60, 130])
def test_what_smaller_scales_show_takes_the_place_of_its_pieces(side):
    pieces = [((230, 240), 9), ((270, 262), 11)]
    full = found(*SMALL, *pieces, scores=[0.95, 0.9, 0.7, 0.4])  # a weak piece goes, too
    half, quarter = found(LARGE, scores=[0.92]), found(((252, 249), 42))
    both, looked = added(mosaic_of_tiles(full, side) if side else full, half=half, quarter=quarter)
    assert looked == [0.25, 0.5]
    by_score = both.by_score()
    np.testing.assert_array_equal(by_score.scores, np.float32([0.95, 0.92, 0.9]))
    np.testing.assert_array_equal(by_score.labels, found(SMALL[0], LARGE, SMALL[1]).labels)


def test_a_nucleus_that_reaches_into_a_large_one_keeps_its_pixels():
    neighbour = ((250, 195), 15)  # most of it lies beside the large one
    both, _ = added(found(neighbour), half=found(LARGE, scores=[0.6]), quarter=found(LARGE))
    np.testing.assert_array_equal(both.labels == 1, found(neighbour).labels == 1)
    np.testing.assert_array_equal(both.labels == 2, (found(LARGE).labels == 1) & (found(neighbour).labels == 0))


def test_weak_nuclei_of_smaller_scales_do_not_count():
    assert added(found(*SMALL), half=found(LARGE), quarter=found(LARGE, scores=[0.4]))[0] is None
    assert added(found(*SMALL), half=found(LARGE, scores=[0.4]), quarter=found(LARGE))[0] is None


@pytest.mark.parametrize(
    "full, half, quarter, looked",
    [
        (SMALL, [LARGE], [((250, 330), 45)], [0.25, 0.5]),  # each scale shows something else
        (SMALL, [], [LARGE], [0.25, 0.5]),
        ([*SMALL, ((250, 255), 42)], [LARGE], [LARGE], [0.25]),  # full size shows it as well
        ([((228, 228), 24), ((228, 276), 24), ((276, 228), 24), ((276, 276), 24)], [LARGE], [LARGE], [0.25]),  # a group
        (SMALL, [((250, 250), 29)], [((250, 250), 29)], [0.25]),  # not large
        (SMALL, [((200, 200), 130)], [((200, 200), 130)], [0.25]),  # too large even for half the size
        ([], [], [], [0.25]),
    ],
)
def test_nothing_else_is_added(full, half, quarter, looked):
    both, seen = added(found(*full), half=found(*half), quarter=found(*quarter))
    assert both is None
    assert seen == looked


def test_weak_nuclei_cover_nothing():
    group = [((228, 228), 24), ((228, 276), 24), ((276, 228), 24), ((276, 276), 24)]
    full = found(*group, scores=[0.4] * 4)
    both, _ = added(full, half=found(LARGE), quarter=found(LARGE))
    assert both.above(SCORE).labels.max() == 1
    np.testing.assert_array_equal(both.labels == 1, found(LARGE).labels == 1)


def test_a_weak_nucleus_over_the_whole_image_gives_way():
    weak = Instances(np.ones((SIDE, SIDE), np.int32), np.float32([0.4]))
    both, _ = added(weak, half=found(LARGE), quarter=found(LARGE))
    np.testing.assert_array_equal(both.labels, found(LARGE).labels)
    np.testing.assert_array_equal(both.scores, found(LARGE).scores)
