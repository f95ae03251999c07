import numpy as np

from mosaics import mosaic_of
from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.inference.instances.parts import tile_result_of
from nucseg.inference.instances.stitched import StitchedLabels

SHAPE = (20, 40)


def part(*nuclei, scores=None, cut=()):
    """A tile's nuclei, each a window of the image, drawn into the whole image's frame."""
    labels = np.zeros(SHAPE, np.int32)
    for number, window in enumerate(nuclei, start=1):
        labels[Window(*window).slices] = number
    numbers = range(1, len(nuclei) + 1)
    return tile_result_of(
        labels,
        np.array(scores or [0.9] * len(nuclei), np.float32),
        Window.whole(SHAPE),
        cut=np.array([number in cut for number in numbers], bool),
    )


def stitch(*parts):
    return StitchedLabels(SHAPE, list(parts), lambda tile: list(range(len(parts))))


def whole(found):
    return found.labels(Window.whole(SHAPE))


def test_numbers_go_on_from_tile_to_tile():
    found = stitch(part((1, 1, 4, 4), (8, 8, 11, 11)), part(), part((1, 30, 4, 34)))
    labels = whole(found)
    assert (labels[2, 2], labels[9, 9], labels[2, 31]) == (1, 2, 3)
    assert [(group.first, len(group.scores)) for group in found.blocks()] == [(1, 2), (3, 1)]
    assert len(found) == 3


def test_the_pieces_of_a_nucleus_larger_than_a_tile_are_joined():
    pieces = [
        part((5, 2, 15, 18), scores=[0.6], cut=[1]),
        part((5, 12, 15, 30), scores=[0.8], cut=[1]),
        part((5, 25, 15, 38), (0, 0, 2, 2), scores=[0.7, 0.5], cut=[1]),
    ]
    found = stitch(*pieces)
    assert len(found) == 2
    np.testing.assert_array_equal(np.unique(whole(found)[5:15, 2:38]), [1])
    np.testing.assert_allclose(found.scores, [0.8, 0.5])
    first, second = found.blocks()
    assert first.window == Window(0, 0, 15, 38)
    assert (first.labels == 1).sum() == 10 * 36
    assert (second.labels == 1).sum() == 4


def test_two_whole_nuclei_that_claim_each_other_leave_the_better_one():
    found = stitch(part((5, 15, 9, 21), scores=[0.6]), part((5, 16, 9, 22), scores=[0.8]))
    assert len(found) == 1
    assert found.scores[0] == np.float32(0.8)


def test_of_a_small_overlap_the_first_tile_has_the_pixels():
    found = stitch(part((5, 10, 9, 20)), part((5, 19, 9, 30)))
    labels = whole(found)
    assert len(found) == 2
    assert (labels[6, 19], labels[6, 20]) == (1, 2)


def test_of_a_nucleus_that_another_tile_parts_the_largest_piece_stays():
    found = stitch(part((0, 14, 20, 16)), part((5, 10, 9, 30), (15, 30, 18, 33)))
    labels = whole(found)
    np.testing.assert_array_equal(labels[6, 8:32], [0] * 6 + [1] * 2 + [2] * 14 + [0] * 2)
    assert (labels == 3).sum() == 9
    # The same, window by window and group by group.
    np.testing.assert_array_equal(found.labels(Window(4, 9, 8, 20)), labels[4:8, 9:20])
    assert [int((group.labels == 1).sum()) for group in found.blocks()] == [40, 4 * 14]


def test_a_label_image_in_memory_is_one_tile():
    labels = np.zeros((9, 7), np.int32)
    labels[2:4, 3:5], labels[6:, :2] = 1, 2
    instances = Instances(labels, np.array([0.9, 0.4], np.float32))
    found = mosaic_of(instances)
    np.testing.assert_array_equal(found.instances().labels, labels)
    np.testing.assert_array_equal(found.scores, instances.scores)
    nothing = mosaic_of(Instances.none((5, 6)))
    assert nothing.instances().labels.shape == (5, 6)
    assert list(nothing.blocks()) == []
