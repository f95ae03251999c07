import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from nucseg.core.types import VOID
from nucseg.models.semantic.loss import CrossEntropyAndJaccard


def reference(truth, logits, weight):
    """Compute the loss pixel by pixel, as it is defined."""
    known = truth != VOID
    entropy = -np.mean([log_softmax(logits[place])[truth[place]] for place in zip(*np.nonzero(known), strict=True)])
    logarithms = []
    for number in np.unique(truth[known]):
        p, t = softmax(logits, -1)[known][:, number], truth[known] == number
        logarithms.append(np.log((p * t).sum() / (p + t - p * t).sum()))
    return (1 - weight) * entropy - weight * np.mean(logarithms)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.9])
def test_loss(weight):
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 3, VOID], (2, 5, 6)).astype(np.uint8)  # nothing is of class 2
    logits = rng.normal(0, 2, (2, 5, 6, 4)).astype(np.float32)
    found = CrossEntropyAndJaccard(weight)(truth[..., None].astype(np.float32), logits)
    np.testing.assert_allclose(found, reference(truth, logits, weight), rtol=1e-4)


def test_void_pixels_change_nothing():
    rng = np.random.default_rng(1)
    truth = rng.choice([0, 1, VOID], (1, 8, 8, 1)).astype(np.float32)
    logits = rng.normal(size=(1, 8, 8, 2)).astype(np.float32)
    loss = CrossEntropyAndJaccard(0.5)
    other = np.where(truth == VOID, rng.normal(0, 9, logits.shape), logits).astype(np.float32)
    np.testing.assert_allclose(loss(truth, other), loss(truth, logits), rtol=1e-5)
    assert float(loss(np.full_like(truth, VOID), logits)) == 0


def test_the_right_answer_has_the_least_loss():
    truth = np.arange(4).reshape(1, 2, 2, 1).astype(np.float32)
    right = 20 * np.eye(4, dtype=np.float32)[None].reshape(1, 2, 2, 4)
    loss = CrossEntropyAndJaccard(0.5)
    assert abs(float(loss(truth, right))) < 1e-4 < float(loss(truth, -right))
