"""The two ways between a nucleus in the image and in the frame of its box: the targets and the pasting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.ndimage import map_coordinates

from nucseg.models.mask_rcnn.mask_targets import crop_masks
from nucseg.models.mask_rcnn.paste import draw_instances, paste_mask


def test_crop_is_the_slow_loop():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (2, 20, 30)).astype(np.int32)
    corner = rng.uniform(-5, 18, (2, 6, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 20, (2, 6, 2))], -1).astype(np.float32)
    numbers = rng.integers(1, 4, (2, 6)).astype(np.int32)
    found = ops.convert_to_numpy(crop_masks(labels, boxes, numbers, 7))
    for image in range(2):
        for place, (box, number) in enumerate(zip(boxes[image], numbers[image], strict=True)):
            steps = (np.arange(7) + 0.5) / 7
            y, x = box[0] + steps * (box[2] - box[0]), box[1] + steps * (box[3] - box[1])
            at = np.stack(np.meshgrid(y - 0.5, x - 0.5, indexing="ij"))
            mask = np.pad((labels[image] == number).astype(float), 1)
            expected = map_coordinates(mask, at + 1, order=1, mode="constant")
            np.testing.assert_allclose(found[image, place], expected, atol=1e-4)


def slow_paste(mask, box, shape):
    """Pixel by pixel; outside of the box nothing."""
    out = np.zeros(shape)
    size = len(mask)
    for row in range(shape[0]):
        for column in range(shape[1]):
            y, x = row + 0.5, column + 0.5
            if box[0] <= y < box[2] and box[1] <= x < box[3]:
                at = [[(y - box[0]) / (box[2] - box[0]) * size - 0.5], [(x - box[1]) / (box[3] - box[1]) * size - 0.5]]
                out[row, column] = map_coordinates(mask, at, order=1, mode="nearest")[0]
    return out


@given(seed=st.integers(0, 2**32 - 1))
def test_paste_is_the_slow_loop(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-8, 14, 2)
    box = np.concatenate([corner, corner + rng.uniform(0.3, 20, 2)]).astype(np.float32)
    mask = rng.random((6, 6)).astype(np.float32)
    values, window = paste_mask(mask, box, (15, 18))
    found = np.zeros((15, 18))
    found[window] = values
    np.testing.assert_allclose(found, slow_paste(mask, box, (15, 18)), atol=1e-4)


@pytest.mark.parametrize("radius", [5, 12, 30])
def test_a_cropped_nucleus_pastes_back(radius):
    y, x = np.mgrid[:80, :90]
    nucleus = (y - 40) ** 2 + ((x - 41) / 1.2) ** 2 < radius**2
    box = np.array([39.5 - radius, 40.2 - 1.2 * radius, 41 + radius, 43 + 1.2 * radius], np.float32)
    mask = ops.convert_to_numpy(crop_masks(nucleus[None].astype(np.int32), box[None, None], np.ones((1, 1), int), 28))
    found = draw_instances(mask[0], box[None], np.ones(1, np.float32), 0.5, nucleus.shape).labels > 0
    assert (found & nucleus).sum() / (found | nucleus).sum() > 0.96


def test_overlaps_belong_to_the_higher_score():
    full = np.ones((4, 4), np.float32)
    boxes = np.array([[0, 0, 10, 10], [0, 6, 10, 16], [0, 1, 10, 9], [40, 40, 50, 50]], np.float32)
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    found = draw_instances(np.stack([full] * 4), boxes, scores, 0.5, (12, 20))
    # The third is hidden by the first, the fourth lies outside.
    np.testing.assert_array_equal(found.scores, scores[:2])
    np.testing.assert_array_equal(found.labels[5], [1] * 10 + [2] * 6 + [0] * 4)
    assert not found.labels[10:].any()


def test_of_a_nucleus_that_another_parts_the_largest_piece_is_drawn_without_holes():
    full = np.ones((4, 4), np.float32)
    ring = np.ones((9, 9), np.float32)
    ring[4, 4] = 0
    boxes = np.array([[0, 3, 12, 6], [2, 0, 8, 14], [20, 20, 29, 29]], np.float32)
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    masks = [np.kron(each, np.ones((9 * 4 // len(each),) * 2, np.float32)) for each in (full, full, ring)]
    found = draw_instances(np.stack(masks), boxes, scores, 0.5, (30, 30))
    np.testing.assert_array_equal(found.labels[4, :16], [0] * 3 + [1] * 3 + [2] * 8 + [0] * 2)
    np.testing.assert_array_equal(found.labels[20:29, 20:29], 3)


def test_nothing_to_draw():
    found = draw_instances(
        np.zeros((0, 4, 4), np.float32), np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.5, (3, 4)
    )
    assert found.labels.shape == (3, 4)
    assert len(found) == 0
