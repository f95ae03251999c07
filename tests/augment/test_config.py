import pytest
from pydantic import ValidationError

from nucseg.augment.config import AugmentationConfig


def test_yaml_becomes_typed_transforms():
    config = AugmentationConfig.model_validate({"transforms": [{"name": "affine", "p": 1, "scale": [0.5, 3]}]})
    assert config.transforms[0].scale == (0.5, 3.0)
    assert AugmentationConfig.model_validate({"transforms": []}).transforms == ()


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "mixup"},
        {"p": 0.5},
        {"name": "flip", "p": 1.5},
        {"name": "flip", "strength": 1},
        {"name": "affine", "scale": [0, 2]},
        {"name": "affine", "scale": [2, 0.5]},
        {"name": "gamma", "gamma": [2, 1]},
        {"name": "noise", "std": [0.1, 2]},
        {"name": "illumination", "strength": [0.1, 0.5]},
        {"name": "elastic", "smoothness": 0},
    ],
)
def test_wrong_entries_are_refused(entry):
    with pytest.raises(ValidationError, match="transforms"):
        AugmentationConfig.model_validate({"transforms": [entry]})
