import numpy as np

from nucseg.models.mask_rcnn.anchors import level_anchors, pyramid_anchors


def test_a_level_by_hand():
    """Cells of 4 pixels: their middles are 2 and 6; ratio 4 makes 8 x 8 a box of 16 x 4."""
    anchors = level_anchors((1, 2), 4, sizes=[8], ratios=[1, 4])
    expected = [[-2, -2, 6, 6], [-6, 0, 10, 4], [-2, 2, 6, 10], [-6, 4, 10, 8]]
    np.testing.assert_allclose(anchors, expected)
    assert anchors.dtype == np.float32


def test_levels_follow_each_other_the_finest_first():
    anchors = pyramid_anchors((32, 64), (4, 8), [(8,), (16,)], (1.0,))
    assert anchors.shape == (8 * 16 + 4 * 8, 4)
    np.testing.assert_allclose(anchors[8 * 16 - 1], [26, 58, 34, 66])
    np.testing.assert_allclose(anchors[8 * 16], [-4, -4, 12, 12])
    # Row by row: the second anchor is one cell to the right.
    np.testing.assert_allclose(anchors[1] - anchors[0], [0, 4, 0, 4])
