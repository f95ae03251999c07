import numpy as np
import pytest
from keras import ops
from scipy.ndimage import map_coordinates

from nucseg.models.mask_rcnn.roi_align import assign_levels, roi_align


def naive(level, stride, box, size, samples):
    """Bin by bin, with SciPy's bilinear interpolation; cell c lies at (c + 0.5) * stride, the border is repeated."""
    out = np.zeros((size, size, level.shape[-1]))
    for row in range(size):
        for column in range(size):
            y = box[0] + (row + (np.arange(samples) + 0.5) / samples) * (box[2] - box[0]) / size
            x = box[1] + (column + (np.arange(samples) + 0.5) / samples) * (box[3] - box[1]) / size
            at = np.stack(np.meshgrid(y / stride - 0.5, x / stride - 0.5, indexing="ij"))
            for channel in range(level.shape[-1]):
                out[row, column, channel] = map_coordinates(level[..., channel], at, order=1, mode="nearest").mean()
    return out


@pytest.mark.parametrize("samples", [1, 2])
def test_it_is_the_slow_loop_on_levels_that_are_not_square(samples):
    rng = np.random.default_rng(0)
    shape, strides, size = (48, 80), (4, 8), 3
    levels = [rng.random((2, shape[0] // s, shape[1] // s, 3)).astype(np.float32) for s in strides]
    corner = rng.uniform(-6, 40, (2, 5, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 45, (2, 5, 2))], -1).astype(np.float32)
    which = rng.integers(0, 2, (2, 5)).astype(np.int32)
    found = ops.convert_to_numpy(roi_align(levels, strides, boxes, which, size, samples))
    assert found.shape == (2, 5, 3, 3, 3)
    for image in range(2):
        for number in range(5):
            level = which[image, number]
            expected = naive(levels[level][image], strides[level], boxes[image, number], size, samples)
            np.testing.assert_allclose(found[image, number], expected, atol=1e-4)


def test_a_ramp_by_hand():
    """A map that says its own column: bins of a box give the x of their middle."""
    level = np.broadcast_to((np.arange(10) + 0.5) * 4, (1, 6, 10))[..., None].astype(np.float32)
    found = ops.convert_to_numpy(roi_align([level], [4], np.array([[[3, 7, 9, 19]]], np.float32), [[0]], 4))
    np.testing.assert_allclose(found[0, 0, :, :, 0], [[8.5, 11.5, 14.5, 17.5]] * 4, atol=1e-4)


def test_levels():
    """Below 40 pixels the finest, then one level more at each doubling; bounded."""
    sides = np.array([1, 8, 39.9, 40, 79, 80, 159, 160, 5000], np.float32)
    boxes = np.stack([np.zeros_like(sides), np.zeros_like(sides), sides, sides], -1)
    np.testing.assert_array_equal(ops.convert_to_numpy(assign_levels(boxes, 40, 4)), [0, 0, 0, 1, 1, 2, 2, 3, 3])
    # It is the area that counts: 20 x 80 is as large as 40 x 40.
    assert int(assign_levels(np.array([0, 0, 20, 80], np.float32), 40, 4)) == 1
    assert int(assign_levels(np.zeros(4, np.float32), 40, 4)) == 0
