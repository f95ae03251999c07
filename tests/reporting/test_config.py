import pytest
from pydantic import ValidationError

from nucseg.reporting.config import VisualizationConfig


def test_default_draws_best_median_and_worst():
    config = VisualizationConfig()
    assert config.images == []
    assert min(config.best, config.median, config.worst) >= 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"stretch": (50, 50)},
        {"stretch": (-1, 99)},
        {"stretch": (1, 101)},
        {"worst": -1},
        {"rank_by": "beauty"},
        {"imgs": []},
    ],
)
def test_wrong_values_are_refused(wrong):
    with pytest.raises(ValidationError):
        VisualizationConfig(**wrong)
