"""The losses are those of the `stardist` package."""

import numpy as np
import pytest
from stardist.models.base import masked_loss_iou, masked_loss_mae, masked_loss_mse

from nucseg.models.stardist.losses import distance_loss


@pytest.mark.parametrize("kind, theirs", [("mae", masked_loss_mae), ("mse", masked_loss_mse), ("iou", masked_loss_iou)])
def test_a_loss_is_that_of_the_package(kind, theirs):
    rng = np.random.default_rng(0)
    distances = rng.uniform(0, 20, (2, 6, 5, 8)).astype(np.float32)
    weight = rng.uniform(0, 1, (2, 6, 5, 1)).astype(np.float32) * (rng.random((2, 6, 5, 1)) < 0.6)
    predicted = rng.normal(8, 8, distances.shape).astype(np.float32)  # some are negative
    expected = theirs(weight, reg_weight=1e-2)(distances, predicted)
    found = distance_loss(kind, 1e-2)(np.concatenate([distances, weight], -1), predicted)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
