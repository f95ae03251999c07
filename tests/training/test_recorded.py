"""Parameters of models that other versions recorded."""

from typing import Any

import pytest

from nucseg.models.run import RunParameters, RunRecord
from nucseg.training.recorded import recorded_parameters


def recorded(kind: str | None, **parameters: Any) -> dict[str, Any]:
    return recorded_parameters(RunRecord(parameters=RunParameters(**parameters)), kind)


def test_what_was_left_out_has_its_default() -> None:
    found = recorded("mask_rcnn", model={"preset": "resnet50"}, training={"patch_size": 128, "min_nucleus_pixels": 4})
    assert found["model"]["pyramid_channels"] == 256
    assert (found["training"]["patch_size"], found["training"]["trunk_rate"]) == (128, 1.0)
    assert "min_nucleus_pixels" not in found["training"]
    assert (found["sampling"]["min_nucleus_pixels"], found["sampling"]["diameters"]) == (4, None)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"training": None, "model": {"pretrained": "2D_versatile_fluo"}},
    ],
)
def test_a_section_that_was_not_recorded_stays_out(parameters: dict[str, Any]) -> None:
    found = recorded(None, **parameters)
    assert {key: found.get(key) for key in parameters} == parameters
    assert not found.get("training")
    assert "sampling" not in found


def test_what_belongs_to_another_section_today_is_moved() -> None:
    found = recorded(
        None,
        training={"patch_size": 64, "foreground_probability": 0.5},
        augmentation={"stages": {}, "min_nucleus_pixels": 3},
        preprocessing=[{"name": "fill_label_holes"}, {"name": "to_rgb"}],
    )
    assert (found["sampling"]["foreground_probability"], found["sampling"]["min_nucleus_pixels"]) == (0.5, 3)
    assert found["augmentation"] == {"stages": {}}
    assert found["preprocessing"] == [{"name": "to_rgb"}]


def test_what_is_not_known_or_not_allowed_today_stays() -> None:
    assert recorded("stardist", model={"n_rays": 32, "strange": 1})["model"]["strange"] == 1
    assert recorded("stardist", model={"n_rays": 4})["model"] == {"n_rays": 4}


def test_the_sampling_of_each_task_has_its_own_defaults() -> None:
    found = recorded(None, training={"patch_size": 64}, sampling={"class_probability": 0.25})["sampling"]
    assert (found["class_probability"], found["balance"]) == (0.25, "none")
    assert recorded(None, training={"patch_size": 64}, sampling={"shift": 4.0})["sampling"]["dark_share"] == 0.5
