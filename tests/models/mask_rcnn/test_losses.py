import numpy as np
from keras import ops

from nucseg.models.mask_rcnn.losses import binary_cross_entropy, focal_loss, smooth_l1, weighted_mean

LOGITS = np.array([-30.0, -2.0, 0.0, 0.5, 3.0, 30.0], np.float32)
TARGETS = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0], np.float32)


def to_numpy(value):
    return ops.convert_to_numpy(value)


def naive_cross_entropy(logits, targets):
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return -(targets * np.log(probability) + (1 - targets) * np.log(1 - probability))


def test_cross_entropy():
    np.testing.assert_allclose(
        to_numpy(binary_cross_entropy(LOGITS, TARGETS)), naive_cross_entropy(LOGITS, TARGETS), rtol=1e-5, atol=1e-9
    )
    soft = np.full(6, 0.3, np.float32)
    np.testing.assert_allclose(
        to_numpy(binary_cross_entropy(LOGITS[1:5], soft[1:5])), naive_cross_entropy(LOGITS[1:5], soft[1:5]), rtol=1e-5
    )
    assert np.isfinite(to_numpy(binary_cross_entropy(np.array([1e4, -1e4], np.float32), TARGETS[:2]))).all()


def test_focal_loss():
    probability = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    right = np.where(TARGETS == 1, probability, 1 - probability)
    expected = np.where(TARGETS == 1, 0.25, 0.75) * (1 - right) ** 2 * -np.log(right)
    np.testing.assert_allclose(to_numpy(focal_loss(LOGITS, TARGETS)), expected, rtol=1e-4, atol=1e-9)
    plain = to_numpy(focal_loss(LOGITS, TARGETS, gamma=0.0, alpha=0.5))
    np.testing.assert_allclose(plain, naive_cross_entropy(LOGITS, TARGETS) / 2, rtol=1e-5, atol=1e-9)


def test_smooth_l1():
    """With beta 1: 0.5 d² below 1, d - 0.5 from there on; summed over the box."""
    predicted = np.array([[0.5, -2.0, 1.0, 0.0]], np.float32)
    np.testing.assert_allclose(to_numpy(smooth_l1(predicted, np.zeros((1, 4), np.float32), 1.0)), [0.125 + 1.5 + 0.5])
    expected = 0.5 * 0.01**2 * 9 + (1 - 0.5 / 9)
    code = np.array([0.01, 1.0, 0, 0], np.float32)
    np.testing.assert_allclose(to_numpy(smooth_l1(code, np.zeros(4, np.float32), 1 / 9)), expected, rtol=1e-5)


def test_weighted_mean():
    values = np.array([1.0, 2.0, 30.0], np.float32)
    assert float(weighted_mean(values, np.array([1.0, 1.0, 0.0], np.float32))) == 1.5
    assert float(weighted_mean(values, np.zeros(3, np.float32))) == 0.0
