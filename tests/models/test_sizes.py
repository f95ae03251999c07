import numpy as np
import pytest

from nucseg.models.sizes import TrainedSizes, mean_diameter


@pytest.mark.parametrize(
    "enlarge, diameter, factor",
    [
        ((10.0, 20.0), 12.0, 1.0),
        ((10.0, 20.0), 10.0, 1.0),
        ((10.0, 20.0), 9.9, 2.0),
        ((10.0, 20.0), 7.0, 2.75),  # 2.86
        ((10.0, 20.0), 5.0, 3.0),  # 4 would be more than the largest
        ((10.0, 20.0), 3.0, 1.0),  # specks
        ((20.0, 24.0), 19.9, 1.25),
        ((20.0, 24.0), 16.0, 1.5),
        ((20.0, 20.0), 19.9, 1.0),
        ((20.0, 24.0), 0.0, 1.0),
    ],
)
def test_the_factor_in_quarters(enlarge, diameter, factor):
    assert TrainedSizes(enlarge=enlarge).enlargement(diameter) == factor


def test_debris_counts_little():
    assert mean_diameter(np.array([20.0, 20.0, 2.0, 2.0])) == pytest.approx((20**3 + 2**3) / (20**2 + 2**2))
    assert mean_diameter(np.zeros(0)) == 0
