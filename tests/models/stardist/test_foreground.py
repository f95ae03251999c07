import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from skimage.segmentation import expand_labels
from stardist.models import Config2D, StarDist2D

from nucseg.models.stardist.foreground import add_foreground_head, refine

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


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_the_head_is_a_map_at_the_resolution_of_the_image(grid):
    config = Config2D(n_rays=8, grid=(grid, grid), unet_n_depth=1, unet_n_filter_base=4, net_conv_after_unet=8)
    original = StarDist2D(config, basedir=None).keras_model
    network = add_foreground_head(original, grid, 6)
    image = np.random.default_rng(0).random((2, 32, 48, 1), np.float32)
    probability, distances, foreground = (output.numpy() for output in network(image))
    assert foreground.shape == (2, 32, 48, 1)
    assert 0 < foreground.min() < foreground.max() < 1
    assert network.get_layer("foreground_features").output.shape[-1] == 6
    # The other two stay what they were, with the very same weights.
    for found, expected in zip((probability, distances), original(image), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert {id(weight) for weight in original.weights} < {id(weight) for weight in network.weights}


def test_the_head_learns_what_the_grid_is_too_coarse_for():
    """Stripes of one pixel, on a grid of 4."""
    keras.utils.set_random_seed(0)
    config = Config2D(n_rays=8, grid=(4, 4), unet_n_depth=1, unet_n_filter_base=4, net_conv_after_unet=8)
    network = add_foreground_head(StarDist2D(config, basedir=None).keras_model, 4, 6)
    stripes = np.zeros((1, 32, 32, 1), np.float32)
    stripes[:, :, ::2] = 1
    head = keras.Model(network.inputs, network.outputs[-1])
    head.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    head.fit(stripes, stripes, epochs=60, verbose=0)
    np.testing.assert_array_equal(head(stripes).numpy() > 0.5, stripes > 0.5)


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


def test_large_labels():
    labels = np.where(TWO > 0, TWO + 16_000_000, 0).astype(np.int32)
    np.testing.assert_array_equal(np.unique(refine(labels, EVERYWHERE, 2)), [0, 16_000_001, 16_000_002])


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 12), radius=st.integers(1, 6), density=st.floats(0, 1))
def test_any_nuclei_and_any_map(seed, n, radius, density):
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[:30, :37]
    labels = np.zeros((30, 37), np.int32)
    for label in range(1, n + 1):
        y, x, size = rng.integers(0, 30), rng.integers(0, 37), rng.uniform(1, 8)
        labels[(labels == 0) & ((rows - y) ** 2 + (columns - x) ** 2 <= size**2)] = label
    foreground = rng.random(labels.shape) < density
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
