import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import expand_labels

from nucseg.core.errors import InputError
from nucseg.masks.numbering import check_numbered, count_pieces


@pytest.fixture
def drawn(draw_nuclei):
    image, labels = draw_nuclei((80, 100), 8, seed=6, gap=4)
    return image, labels.astype(np.int32)


def test_numbered_labels_pass(drawn):
    labels = drawn[1]
    touching = expand_labels(labels, 200)  # no background, but no label all around either
    spread = np.where(labels > 0, labels * 1000, 0)
    crumb = np.where(labels > 0, labels, 0)
    for number in range(1, 9):
        crumb[0, 3 * number] = number
    seeds = np.zeros((9, 9), int)
    seeds[::2, ::2] = np.arange(1, 26).reshape(5, 5)
    for given in (labels, labels.astype(np.uint64), touching, spread, crumb, seeds, labels * 0):
        check_numbered(given, "labels")
    check_numbered((labels == 3) * 255, "labels")
    check_numbered(np.ones((3, 4), int), "labels")


def test_what_does_not_number_nuclei_is_refused(drawn):
    image, labels = drawn
    rng = np.random.default_rng(0)
    huge = labels.astype(np.uint64)
    huge[huge == 8] = 2**63 + 5
    halves = np.where((labels > 0) & (np.indices(labels.shape).sum(0) % 9 < 2), 0, labels)
    for given, said in [
        (labels > 0, r"labels: is a mask \(bool\), .*; number its pieces first, for example with scipy.ndimage.label"),
        ((labels > 0) * np.uint8(255), "labels: is a mask: its only label, 255, has 8 separate pieces; number its"),
        (image, r"is no label image: \d+ of \d+ labels have several separate pieces; are image and labels swapped\?"),
        (halves, "is no label image: 8 of 8 labels have several separate pieces"),
        (rng.integers(1, 60000, (64, 80)), "most neighbouring pixels have different labels; are image and labels"),
        (labels + 1, "has no pixel of 0, the background, and its label 1 touches all four borders"),
        (huge, r"contains the label 9223372036854775813; the largest allowed is 2147483647\. Renumber"),
    ]:
        with pytest.raises(InputError, match=said):
            check_numbered(given, "labels")


def test_pieces_are_those_of_each_label_by_itself():
    labels = np.random.default_rng(0).integers(0, 4, (20, 30)).astype(np.int32) * 7
    values, pieces, count = count_pieces(labels, 0)
    assert values.tolist() == [7, 14, 21]
    assert pieces.tolist() == [ndimage.label(labels == value, np.ones((3, 3)))[1] for value in values]
    assert count == pieces.sum()


def test_small_pieces_do_not_count():
    labels = np.zeros((9, 20), np.int32)
    labels[:3, :10], labels[5, 0], labels[8, 5:15] = 4, 4, 4
    assert [each.tolist() for each in count_pieces(labels, 0.1)[:2]] == [[4], [2]]
    assert count_pieces(labels, 0.1)[2] == 3
