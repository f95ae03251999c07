from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from kedro.config import OmegaConfigLoader

from nucseg.core.errors import ConfigError
from nucseg.models.backbones.efficientnet_lite import build_trunk, take_imagenet
from nucseg.models.registry import create_model
from nucseg.params import Parameters, check_parameters

CONF = Path(__file__).parents[1] / "conf"


def _parameters(env: str) -> dict[str, Any]:
    loader = OmegaConfigLoader(str(CONF), env=env, base_env="base", merge_strategy={"parameters": "soft"})
    return loader["parameters"]


@pytest.mark.parametrize("env", ["local", "cpu", "demo"])
def test_what_the_project_ships_is_valid(env: str) -> None:
    checked = check_parameters(_parameters(env), [CONF / "base", CONF / env])
    assert isinstance(checked, Parameters)


@pytest.mark.parametrize("env", ["local", "cpu", "demo"])
@pytest.mark.parametrize("model", ["stardist", "mask_rcnn"])
def test_trainings_start_from_imagenet(env: str, model: str) -> None:
    architecture = check_parameters(_parameters(env), []).of_model(model).architecture
    assert architecture.pretrained == "imagenet"
    if architecture.backbone == "resnet50":  # its weights are downloaded
        assert (env, model) == ("local", "mask_rcnn")
        return
    trunk = build_trunk(3, 16)
    take_imagenet(trunk)
    created = create_model(model, architecture.model_dump())
    network = created.keras_model if model == "stardist" else created.keras_model.pyramid
    found = network.get_layer("trunk").get_weights()
    for ours, published in zip(found, trunk.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, published)


@pytest.mark.parametrize(
    "env, architecture, said",
    [
        (
            "cpu",
            {"stardist": {"pretrained": "2D_versatile_fluo"}},
            "stardist.architecture.pretrained .*backbone = unet",
        ),
        ("cpu", {"stardist": {"backbone": "unet"}}, "stardist.architecture.pretrained .*pretrained = null"),
        ("cpu", {"stardist": {"grid": 4}}, "stardist.architecture.grid is 4: .*4 needs backbone = unet"),
        ("cpu", {"mask_rcnn": {"backbone": "light"}}, "mask_rcnn.architecture .*pretrained = null"),
        ("cpu", {"mask_rcnn": {"preset": "resnet50"}}, "mask_rcnn.architecture .*needs backbone = resnet50"),
        ("local", {"mask_rcnn": {"preset": "small"}}, "mask_rcnn.architecture .*set backbone, or pretrained = null"),
    ],
)
def test_what_contradicts_the_default_backbone_is_told_in_one_line(
    env: str, architecture: dict[str, dict[str, Any]], said: str
) -> None:
    parameters = _parameters(env)
    for model, changed in architecture.items():
        parameters[model]["architecture"] |= changed
    with pytest.raises(ConfigError, match=said) as caught:
        check_parameters(parameters, [])
    assert len(str(caught.value).splitlines()) == 2


def test_the_files_are_those_that_users_know() -> None:
    files = {file.name for file in (CONF / "base/parameters").iterdir()}
    assert files == {
        "data_download.yml",
        "data_preprocessing.yml",
        "data_augmentations.yml",
        "inference.yml",
        "model_config.yml",
        "model_evaluation.yml",
        "patches.yml",
        "pseudo_labelling.yml",
        "results_visualization.yml",
        "semantic.yml",
    }


def _broken(tmp_path: Path, change: dict[str, Any]) -> str:
    """What is said when a file of a second folder changes the base."""
    parameters = _parameters("cpu")
    (tmp_path / "parameters").mkdir()
    (tmp_path / "parameters/mine.yml").write_text(yaml.safe_dump(change))
    for name, values in change.items():
        parameters[name] = {**parameters[name], **values}
    with pytest.raises(ConfigError) as caught:
        check_parameters(parameters, [CONF / "base", tmp_path])
    return str(caught.value)


def test_the_message_names_file_key_value_and_what_is_allowed(tmp_path: Path) -> None:
    said = _broken(tmp_path, {"results_visualization": {"best": -1}})
    assert "parameters/mine.yml: results_visualization.best is -1" in said
    assert "greater than or equal to 0" in said


def test_a_value_from_the_command_line_is_told_from_the_file(tmp_path: Path) -> None:
    parameters = _parameters("cpu")
    parameters["results_visualization"] = {**parameters["results_visualization"], "best": "many"}
    with pytest.raises(ConfigError, match=r"--params \(instead of .*results_visualization.yml\): .*best is 'many'"):
        check_parameters(parameters, [CONF / "base", tmp_path])


def test_a_misspelt_key_and_a_wrong_place_in_a_list(tmp_path: Path) -> None:
    said = _broken(
        tmp_path,
        {
            "data_preprocessing": {"transforms": [{"name": "normalize", "pmin": 120}, {"name": "sharpen"}]},
            "model_evaluation": {"metric": "all"},
        },
    )
    assert "mine.yml: data_preprocessing.transforms.0.pmin is 120" in said
    assert "mine.yml: data_preprocessing.transforms.1" in said
    assert "'normalize', 'rescale'" in said
    assert "mine.yml: model_evaluation.metric is 'all': there is no such parameter; did you mean metrics?" in said
    assert said.startswith("3 wrong parameter(s):")


def test_a_rule_for_labels_among_the_transforms_is_told_its_place(tmp_path: Path) -> None:
    said = _broken(tmp_path, {"data_preprocessing": {"transforms": [{"name": "fill_label_holes"}]}})
    assert "data_preprocessing.transforms is [{'name': 'fill_label_holes'}]: " in said
    assert "remove it here and set data_preprocessing.fill_label_holes" in said


def _said_of_params(name: str, **values: Any) -> str:
    """What is said of values that are in no file."""
    parameters = _parameters("cpu")
    parameters[name] = {**parameters.get(name, {}), **values}
    with pytest.raises(ConfigError) as caught:
        check_parameters(parameters, [CONF / "base", CONF / "cpu"])
    return str(caught.value)


def test_a_misspelt_key_of_the_command_line_is_blamed_on_it_and_told_the_nearest_name() -> None:
    training = _parameters("cpu")["stardist"]["training"]
    said = _said_of_params("stardist", training={**training, "epoch": 3})
    assert "- --params: stardist.training.epoch is 3: there is no such parameter; did you mean epochs?" in said
    assert "yml" not in said
    said = _said_of_params("inferense", model="stardist")
    assert "- --params: inferense is {'model': 'stardist'}: there is no such parameter; did you mean inference?" in said
    said = _said_of_params("model_evaluation", zzz=1)
    assert "allowed are bootstrap, candidate_score, metrics" in said


def test_a_parameter_of_another_section_is_found_there() -> None:
    training = _parameters("cpu")["mask_rcnn"]["training"]
    said = _said_of_params("mask_rcnn", training={**training, "balance": "none"})
    assert "mask_rcnn.training.balance is 'none': there is no such parameter; did you mean mask_rcnn.sampling" in said
    said = _said_of_params("data_augmentations", min_nucleus_pixels=8)
    assert "min_nucleus_pixels is 8: there is no such parameter; did you mean stardist.sampling.min_nucleus_pi" in said


def test_a_missing_key_names_the_file_that_leads_to_it(tmp_path: Path) -> None:
    parameters = _parameters("cpu")
    del parameters["inference"]
    (tmp_path / "parameters").mkdir()
    with pytest.raises(ConfigError, match=r"- --params: inference: is required"):
        check_parameters(parameters, [tmp_path])


def test_what_must_be_a_list_is_said_in_plain_words() -> None:
    said = _said_of_params("inference", formats="labels")
    wrong = "inference.formats is 'labels': must be a list"
    assert f"{wrong}; lists cannot be set with --params, but in a file in conf/local" in said
    assert "tuple" not in said


def test_of_a_value_of_several_kinds_there_is_one_line() -> None:
    said = _said_of_params("inference", scale="big")
    assert said.startswith("1 wrong parameter(s):")
    assert "inference.scale is 'big': must be 'auto' or must be a number" in said
