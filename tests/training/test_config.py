import pytest
from pydantic import ValidationError

from nucseg.training.config import SamplingConfig, TrainingConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"patch_size": 250},
        {"batch_size": 0},
        {"schedule": "linear"},
        {"learning_rate": 0},
        {"early_stopping_patience": 0},
        {"learning_rates": 1e-3},
    ],
)
def test_wrong_values_are_refused(wrong):
    with pytest.raises(ValidationError):
        TrainingConfig.model_validate(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"foreground_probability": 1.2},
        {"balance": "modality", "modality_weights": {"xray": 1}},
        {"modality_weights": {"histology": 0}},
        {"diameters": [40, 8]},
        {"diameters": [0, 8]},
        {"diameters": 8},
        {"min_nucleus_pixels": 0},
    ],
)
def test_wrong_samplings_are_refused(wrong):
    with pytest.raises(ValidationError):
        SamplingConfig.model_validate(wrong)
