import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from skimage.segmentation import expand_labels

from nucseg.masks import labels as whole_masks
from nucseg.models.stardist.refining import make_whole, number_visible, refine

EVERYWHERE, NOWHERE = np.ones((9, 16), bool), np.zeros((9, 16), bool)


def drawing(text):
    """Digits are labels, dots are background."""
    return np.array([[0 if sign == "." else int(sign) for sign in line] for line in text.split()], np.int32)


ONE = drawing(
    """................
    ................
    ....1111111.....
    ....1111111.....
    ....1111111.....
    ....1111111.....
    ....1111111.....
    ................
    ................"""
)
TWO = drawing(
    """................
    ................
    ...1111122222...
    ...1111122222...
    ...1111122222...
    ...1111122222...
    ...1111122222...
    ................
    ................"""
)


def test_it_grows_by_the_radius_where_the_map_says_foreground():
    expected = drawing(
        """................
        ....1111111.....
        ...111111111....
        ...111111111....
        ...111111111....
        ...111111111....
        ...111111111....
        ....1111111.....
        ................"""
    )
    np.testing.assert_array_equal(refine(ONE, EVERYWHERE, 1), expected)


def test_it_shrinks_by_the_radius_where_the_map_says_background():
    expected = drawing(
        """................
        ................
        ................
        .....11111......
        .....11111......
        .....11111......
        ................
        ................
        ................"""
    )
    np.testing.assert_array_equal(refine(ONE, NOWHERE, 1), expected)


def test_it_takes_the_map_s_border():
    foreground = NOWHERE.copy()
    foreground[1:6, 5:13] = True
    expected = drawing(
        """................
        .....111111.....
        .....1111111....
        .....1111111....
        .....1111111....
        .....1111111....
        ................
        ................
        ................"""
    )
    np.testing.assert_array_equal(refine(ONE, foreground, 1), expected)


def test_touching_nuclei_keep_their_common_border():
    grown = refine(TWO, EVERYWHERE, 2)
    np.testing.assert_array_equal(grown[TWO > 0], TWO[TWO > 0])
    np.testing.assert_array_equal(grown[0, 3:13], [1] * 5 + [2] * 5)
    assert set(grown[4]) == {0, 1, 2}


def test_background_between_touching_nuclei_parts_them():
    foreground = EVERYWHERE.copy()
    foreground[:, 7:9] = False
    np.testing.assert_array_equal(refine(TWO, foreground, 1)[4], [0, 0, 1, 1, 1, 1, 1, 0, 0, 2, 2, 2, 2, 2, 0, 0])


def test_half_way_between_two_nuclei_the_lower_label_has_the_pixel():
    row = drawing("1.2.1")
    np.testing.assert_array_equal(refine(row, np.ones((1, 5), bool), 1), drawing("11211"))
    np.testing.assert_array_equal(refine(drawing("2.1...2"), np.ones((1, 7), bool), 2), drawing("2111122"))


def test_a_gap_in_the_map_makes_no_hole():
    foreground = EVERYWHERE.copy()
    foreground[3, 6] = False
    np.testing.assert_array_equal(refine(ONE, foreground, 2)[3, 2:13], [1] * 11)


def test_a_small_nucleus_may_be_left_without_pixels():
    labels = drawing("11.... 11.... ...... ......")
    assert not refine(labels, np.zeros((4, 6), bool), 3).any()


def test_the_border_of_the_image_is_no_border_of_a_nucleus():
    np.testing.assert_array_equal(refine(np.full((9, 16), 7, np.int32), NOWHERE, 3), 7)


def nuclei_and_map(seed, n, density):
    """Draw disks that hide the later ones, and rings, which enclose some; a map of single pixels and of blocks."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[:30, :37]
    labels = np.zeros((30, 37), np.int32)
    for label in range(1, n + 1):
        y, x, size = rng.integers(0, 30), rng.integers(0, 37), rng.uniform(1, 8)
        squared = (rows - y) ** 2 + (columns - x) ** 2
        labels[(labels == 0) & (squared <= size**2) & (squared >= rng.choice([0, size / 2]) ** 2)] = label
    side = rng.choice([1, 3])
    return labels, np.kron(rng.random((30, 37)) < density, np.ones((side, side), bool))[:30, :37]


def refined_by_morphology(labels, foreground, radius):
    """Do the same with OpenCV, image by image."""
    nothing = np.finfo(np.float32).max
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    squared = rows**2 + columns**2
    disk = (squared <= radius**2).astype(np.uint8)
    values = labels.astype(np.float32)
    inner = (labels > 0) & (cv2.erode(values, disk) == cv2.dilate(values, disk))
    nuclei = np.where(labels > 0, values, nothing)
    nearest = nuclei.copy()
    for distance in np.unique(squared[(squared > 0) & (squared <= radius**2)]):
        np.copyto(nearest, cv2.erode(nuclei, (squared == distance).astype(np.uint8)), where=nearest == nothing)
    expanded = np.where(nearest == nothing, 0, nearest).astype(np.int32)
    filled = whole_masks.fill_label_holes(np.where(inner | foreground, expanded, 0))
    return np.where(filled == expanded, filled, 0)


NUCLEI = {
    "seed": st.integers(0, 2**32 - 1),
    "n": st.integers(0, 12),
    "radius": st.integers(1, 6),
    "density": st.floats(0, 1),
}


@given(**NUCLEI)
def test_it_is_what_morphology_gives(seed, n, radius, density):
    labels, foreground = nuclei_and_map(seed, n, density)
    found = refine(labels, foreground, radius)
    np.testing.assert_array_equal(found, refined_by_morphology(labels, foreground, radius))
    np.testing.assert_array_equal(make_whole(found), whole_masks.make_whole(found))
    np.testing.assert_array_equal(make_whole(labels), whole_masks.make_whole(labels))


def test_nuclei_with_pixels_are_numbered_in_their_order():
    visible = np.zeros(6, bool)
    numbered = number_visible(np.array([[0, 5, 5], [2, 0, 6]], np.int32), visible)
    np.testing.assert_array_equal(numbered, [[0, 2, 2], [1, 0, 3]])
    np.testing.assert_array_equal(visible, [False, True, False, False, True, True])


@given(**NUCLEI)
def test_any_nuclei_and_any_map(seed, n, radius, density):
    labels, foreground = nuclei_and_map(seed, n, density)
    found = refine(labels, foreground, radius)
    assert (found.shape, found.dtype) == (labels.shape, np.int32)
    both = (labels > 0) & (found > 0)
    np.testing.assert_array_equal(found[both], labels[both])
    # What is new lies within the radius, and belongs to the nearest nucleus, or one as near.
    distance = distance_transform_edt(labels == 0) if labels.any() else np.full(labels.shape, np.inf)
    for label in np.unique(found[(labels == 0) & (found > 0)]):
        new = (labels == 0) & (found == label)
        assert distance[new].max() <= radius
        np.testing.assert_array_equal(distance_transform_edt(labels != label)[new], distance[new])
    # Everything within the radius that is foreground is taken.
    np.testing.assert_array_equal(found[foreground] > 0, expand_labels(labels, radius)[foreground] > 0)
    # What is lost was near a border.
    for label in np.unique(labels[(labels > 0) & (found == 0)]):
        lost = (labels == label) & (found == 0)
        assert distance_transform_edt(labels == label)[lost].max() <= radius
