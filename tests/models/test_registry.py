import pytest

from nucseg.core import package
from nucseg.core.errors import ConfigError, ModelError
from nucseg.models.registry import MODELS, create_model, kind_of, model_class, resolve_model, resolve_models


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An empty working directory, an empty checkout and no NUCSEG_MODELS."""
    for name in ("work", "checkout/src/nucseg", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("NUCSEG_MODELS", raising=False)
    monkeypatch.setattr(package, "FOLDER", tmp_path / "checkout/src/nucseg")
    return tmp_path


def put_model(folder):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_the_order_of_the_places(places, monkeypatch):
    checkout = put_model(places / "checkout/data/06_models/stardist")
    assert resolve_model("stardist") == checkout
    work = put_model(places / "work/data/06_models/stardist")
    assert resolve_model("stardist") == work
    monkeypatch.setenv("NUCSEG_MODELS", str(places / "elsewhere"))
    assert resolve_model("stardist") == work
    other = put_model(places / "elsewhere/stardist")
    assert resolve_model("stardist") == other
    folder = put_model(places / "work/mine")
    assert resolve_model("mine").resolve() == folder
    assert resolve_model(folder) == folder


def test_a_folder_without_a_model_is_not_taken_for_one(places):
    (places / "work/stardist").mkdir()
    model = put_model(places / "work/data/06_models/stardist")
    assert resolve_model("stardist") == model


def test_the_demo_is_never_found(places):
    put_model(places / "work/data/demo/06_models/stardist")
    with pytest.raises(ModelError, match=r"NUCSEG_MODELS.*kedro run --pipelines stardist"):
        resolve_model("stardist")


def test_only_models_that_exist_are_known(places):
    put_model(places / "work/data/06_models/mine")
    with pytest.raises(ModelError, match="Known models are mine; choose one of them, a model's folder"):
        resolve_model("deeplab")


@pytest.mark.parametrize("name", ["a" * 253, "a" * 300, "~nosuchuser/model"])
def test_a_name_that_cannot_be_looked_for_is_refused(places, name):
    with pytest.raises(ModelError, match=r"cannot be looked for .*; give a model's name or its folder"):
        resolve_model(name)


def test_a_damaged_config_is_said_to_be_damaged(places):
    folder = put_model(places / "work/mine")
    (folder / "config.json").write_text('{"format": 1, "mod')
    with pytest.raises(ModelError, match=r"config\.json: is damaged, or not of a nucseg model; fetch the model"):
        resolve_models(["mine"])


@pytest.mark.parametrize("pointer", ["data/06_models/stardist.dvc", "data/06_models.dvc"])
def test_a_model_that_dvc_has_not_pulled(places, pointer):
    file = places / "work" / pointer
    file.parent.mkdir(parents=True)
    file.write_text("outs: []")
    with pytest.raises(ModelError, match="is neither checked out nor in the bundled store: run `dvc pull`"):
        resolve_model("stardist")


def test_a_wheel_brings_models(places):
    in_wheel = put_model(places / "checkout/src/nucseg/shipped/stardist")
    assert resolve_model("stardist") == in_wheel
    trained = put_model(places / "work/data/06_models/stardist")
    assert resolve_model("stardist") == trained


def test_kinds(small_stardist):
    assert model_class("stardist") is type(small_stardist)
    assert kind_of(small_stardist) == "stardist"
    with pytest.raises(ModelError, match=f"'yolo' is unknown; allowed are {', '.join(MODELS)}"):
        model_class("yolo")
    with pytest.raises(ModelError, match="not a registered kind"):
        kind_of(object())


def test_creating_from_parameters(small_stardist):
    model = create_model("stardist", small_stardist.config.model_dump(mode="json"))
    assert isinstance(model, model_class("stardist"))
    assert model.config == small_stardist.config
    with pytest.raises(ModelError, match="'yolo' is unknown"):
        create_model("yolo", {})
    with pytest.raises(ConfigError) as error:
        create_model("stardist", {"grid": 3, "rays": 8, "fine_tune": False})
    assert "stardist.architecture.grid is 3: must be 1, 2 or 4" in str(error.value)
    assert "stardist.architecture.rays is 8: there is no such parameter" in str(error.value)
    assert "stardist.architecture.fine_tune is False: false requires a pretrained model" in str(error.value)
