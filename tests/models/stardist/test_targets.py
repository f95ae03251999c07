import numpy as np

from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.targets import borders, make_targets


def test_borders_are_where_two_nuclei_are_within_two_pixels():
    # Nuclei side by side touch, then there are gaps of 4 and of 5 pixels.
    row = np.array([0, 0, 0, 7, 7, 7, 7, 3, 3, 3, 0, 0, 0, 0, 9, 9, 9, 0, 0, 0, 0, 0, 5, 5], np.int32)
    expected = np.zeros(row.size, bool)
    expected[[5, 6, 7, 8]] = True
    labels = np.tile(row, (5, 1))
    np.testing.assert_array_equal(borders(labels), np.tile(expected, (5, 1)))
    np.testing.assert_array_equal(borders(labels.T), np.tile(expected, (5, 1)).T)


def test_a_thin_gap_is_a_border_too():
    row = np.array([4, 4, 4, 0, 0, 0, 6, 6, 6], np.int32)
    np.testing.assert_array_equal(np.flatnonzero(borders(np.tile(row, (3, 1)))[1]), [4])
    row = np.array([4, 4, 4, 0, 6, 6, 6], np.int32)
    np.testing.assert_array_equal(np.flatnonzero(borders(np.tile(row, (3, 1)))[1]), [2, 3, 4])


def test_borders_are_where_a_window_holds_two_labels():
    labels = np.random.default_rng(0).choice([0, 0, 0, 0, 0, 0, 1, 300, 70_000], (20, 30)).astype(np.int32)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(labels, 2), (5, 5))
    expected = [[len(set(window.ravel().tolist()) - {0}) > 1 for window in row] for row in windows]
    np.testing.assert_array_equal(borders(labels), expected)


def test_the_borders_are_the_last_target():
    config = StarDistConfig(backbone="efficientnet_lite0", n_rays=8, refine_border=True)
    truth = np.zeros((32, 32), np.int32)
    truth[4:20, 4:12], truth[4:20, 12:20] = 2, 5
    *others, border = make_targets(truth, config)
    assert (border.shape, border.dtype) == ((32, 32, 1), np.float32)
    np.testing.assert_array_equal(border[..., 0], borders(truth))
    expected = make_targets(truth, config.model_copy(update={"refine_border": False}))
    for found, each in zip(others, expected, strict=True):
        np.testing.assert_array_equal(found, each)


def test_without_nuclei_there_is_no_border():
    assert not borders(np.zeros((8, 8), np.int32)).any()
    assert not borders(np.ones((8, 8), np.int32)).any()
