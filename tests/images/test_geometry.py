import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nucseg.core.window import Window
from nucseg.images.geometry import needed_for, resize_image, resize_labels, scaled_shape, vote_labels_part

label_images = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 9))


def test_scaled_shape():
    assert scaled_shape((10, 7, 3), 1.5) == (15, 10)
    assert scaled_shape((10, 7), 0.01) == (1, 1)


def test_labels_by_hand():
    labels = np.array([[1, 2], [3, 4]], np.int32)
    assert resize_labels(labels, (4, 4)).tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    # The centre of each new pixel decides: 0.5 * 4 / 3 = 0.67, 2.0, 3.33.
    assert resize_labels(np.array([[1, 2, 3, 4]]), (1, 3)).tolist() == [[1, 3, 4]]


@given(label_images, st.integers(1, 5))
def test_growing_by_a_whole_factor_is_undone_exactly(labels, factor):
    grown = resize_labels(labels, scaled_shape(labels.shape, factor))
    assert np.array_equal(grown, np.kron(labels, np.ones((factor, factor), int)))
    assert np.array_equal(resize_labels(grown, labels.shape), labels)


@given(label_images, st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_labels_are_never_mixed(labels, shape):
    resized = resize_labels(labels, shape)
    assert resized.shape == shape
    assert resized.dtype == np.int32
    assert set(np.unique(resized)) <= set(np.unique(labels))


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
@pytest.mark.parametrize("shape", [(5, 4), (20, 16), (10, 8), (3, 16)])
def test_images_keep_their_axes_their_mean_and_their_range(channels, shape):
    image = np.random.default_rng(0).random((10, 8, *channels), np.float32)
    resized = resize_image(image, shape)
    assert resized.shape == (*shape, *channels)
    assert resized.dtype == np.float32
    assert resized.mean() == pytest.approx(image.mean(), abs=0.05)
    assert resized.min() >= image.min()
    assert resized.max() <= image.max()


def test_shrinking_averages():
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert resize_image(image, (2, 2)).tolist() == [[2.5, 4.5], [10.5, 12.5]]


@pytest.mark.parametrize("scale", [0.4, 0.5, 1.7, 2.0])
def test_image_and_labels_stay_on_each_other(draw_nuclei, scale):
    _, labels = draw_nuclei((96, 80), 6, 1, radius=(8, 10))
    shape = scaled_shape(labels.shape, scale)
    nuclei = resize_image((labels > 0).astype(np.float32), shape) > 0.5
    overlap = nuclei & (resize_labels(labels, shape) > 0)
    assert overlap.sum() / (nuclei | (resize_labels(labels, shape) > 0)).sum() > 0.85


def voted(labels, shape):
    return vote_labels_part(labels, Window.whole(labels.shape), labels.shape, Window.whole(shape), shape)


def test_votes_by_hand():
    labels = np.array([[1, 1, 0, 2], [1, 0, 0, 2], [0, 0, 3, 3], [0, 4, 3, 5]], np.int32)
    assert voted(labels, (2, 2)).tolist() == [[1, 2], [0, 3]]  # three of four; two of four; one of four; three of four
    assert voted(np.array([[2, 2, 1, 1]], np.int32), (1, 1)).tolist() == [[1]]
    assert voted(np.array([[1, 2, 2, 0]], np.int32), (1, 1)).tolist() == [[2]]  # with 1 they cover three of four
    assert voted(np.array([[0, 7]], np.int32), (1, 4)).tolist() == [[0, 0, 7, 7]]  # interpolated: 0, 1/4, 3/4, 1


@given(label_images, st.integers(1, 4))
def test_a_vote_undoes_growing_by_a_whole_factor_exactly(labels, factor):
    grown = resize_labels(labels, scaled_shape(labels.shape, factor))
    np.testing.assert_array_equal(voted(grown, labels.shape), labels)


@given(label_images, array_shapes(min_dims=2, max_dims=2, max_side=12))
@example(np.array([[0, 1, 1, 0], [0, 2, 0, 0]], np.int32), (8, 3))
def test_a_pixel_is_background_where_labels_cover_less_than_half_of_it(labels, shape):
    covered = resize_image((labels > 0).astype(np.float32), shape)
    clear = np.abs(covered - 0.5) > 1e-4
    np.testing.assert_array_equal((voted(labels, shape) > 0)[clear], (covered > 0.5)[clear])


@given(label_images, array_shapes(min_dims=2, max_dims=2, max_side=12), st.integers(0, 9))
def test_higher_labels_change_no_lower_one(labels, shape, last):
    some, all_of_them = voted(np.where(labels <= last, labels, 0), shape), voted(labels, shape)
    np.testing.assert_array_equal(some, np.where(all_of_them <= last, all_of_them, 0))


@pytest.mark.parametrize("factor", [2.0, 1.7, 0.5, 0.37])
def test_a_window_of_a_vote_is_that_of_the_whole(factor, draw_nuclei):
    labels = draw_nuclei((90, 130), 20, seed=1, gap=0)[1]
    shape = scaled_shape(labels.shape, factor)
    window = Window(shape[0] // 4, shape[1] // 5, shape[0] // 2, shape[1] - 3)
    source = needed_for(window, labels.shape, shape)
    part = vote_labels_part(labels[source.slices], source, labels.shape, window, shape)
    np.testing.assert_array_equal(part, voted(labels, shape)[window.slices])
