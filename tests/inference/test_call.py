import inspect
import logging
import tomllib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import tifffile

import nucseg
from nucseg.core.errors import ConfigError, InputError
from nucseg.images.transforms import Normalize
from nucseg.inference import call
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.models.bundle import ModelBundle


@pytest.fixture(autouse=True)
def _fake_model(bright, monkeypatch, tmp_path):
    bundle = ModelBundle("fake", bright(), (Normalize(pmin=0, pmax=100, min_range=1),))
    monkeypatch.setattr(call, "resolve_model", lambda model: tmp_path)
    monkeypatch.setattr(
        call, "_predictor", lambda *_: Predictor(bundle, PredictOptions(scale=1.0, precision="float32"))
    )


@pytest.fixture
def stack(draw_nuclei):
    image = draw_nuclei((90, 100), 9, seed=1, noise=0, gap=5)[0]
    return np.stack([np.zeros_like(image), image, image[::-1] // 2])


def test_a_channel_is_chosen_by_number_and_name_in_files_and_arrays(stack, tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, stack, metadata={"axes": "CYX", "Channel": {"Name": ["actin", "DAPI", "GFP"]}})
    for channel in (1, np.int64(1), "1", "DAPI"):
        assert len(nucseg.predict(path, channel=channel)) == 9
    assert len(nucseg.predict(np.moveaxis(stack, 0, -1), channel=1)) == 9
    assert len(nucseg.predict(np.moveaxis(stack, 0, -1), channel=0)) == 0
    assert len(nucseg.predict(stack[1], channel=0)) == 9


@pytest.mark.parametrize("channel", [1.0, True, b"1", ["DAPI"]])
def test_what_is_no_channel_is_reported_and_the_file_is_not_called_damaged(stack, tmp_path, channel):
    tifffile.imwrite(tmp_path / "a.tif", stack[1])
    for image in (tmp_path / "a.tif", stack[1]):
        with pytest.raises(ConfigError, match=r"^channel: .* is not allowed; it must be a channel's name, or"):
            nucseg.predict(image, channel=channel)
    with pytest.raises(InputError, match="image: has no channel '3'"):
        nucseg.predict(np.moveaxis(stack, 0, -1), channel=3)


def test_a_plane_of_a_file_is_predicted_and_measured(stack, tmp_path, caplog):
    path = tmp_path / "a.ome.tif"
    pixels = np.stack([np.stack([plane, np.full_like(plane, 7 + z)]) for z, plane in enumerate(stack)])
    tifffile.imwrite(path, pixels, metadata={"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"]}})
    for plane, number in [("z=1", 1), (["z=focus"], 1), ("z=2", 2)]:
        found = nucseg.predict(path, channel="DAPI", plane=plane, measure="GFP")
        np.testing.assert_array_equal(found.labels, nucseg.predict(stack[number]).labels)
        assert set(found.measurements["nucleus_mean_GFP"]) == {7 + number}
    assert "the sharpest plane along z is used: z=1." in caplog.text
    rows = nucseg.measure(nucseg.predict(path, channel=0, plane="z=max").labels, path, channels="GFP", plane="z=max")
    assert set(rows["nucleus_mean_GFP"]) == {9}
    with pytest.raises(InputError, match=r"a.ome.tif: 3 planes along z are chosen; choose one, such as z=0\.$"):
        nucseg.predict(path, channel=0, plane="z=all")
    with pytest.raises(InputError, match="image: is an array, which has no plane to choose"):
        nucseg.predict(stack[1], plane="z=0")
    with pytest.raises(InputError, match="image: is no file, so it has no plane"):
        nucseg.measure(stack[1], stack[1], plane="z=0")


def test_notes_are_logged(stack, tmp_path, caplog):
    tifffile.imwrite(tmp_path / "a.tif", stack[1], extratags=[(274, 3, 1, 6, True)], metadata=None)
    with caplog.at_level(logging.WARNING):
        nucseg.predict(tmp_path / "a.tif")
    assert "a.tif: its orientation tag (6) is not applied" in caplog.text


@pytest.mark.parametrize("image", [3, None, [[1, 2], [3, 4]]])
def test_what_is_no_image_is_refused_in_one_sentence(image):
    with pytest.raises(
        InputError, match=r"^image: .* is not an image; give an array, or the path or URL of an image\.$"
    ):
        nucseg.predict(image)


@pytest.mark.parametrize(
    "option, said",
    [
        ({"score_threshold": 1.5}, "score_threshold: 1.5 is not allowed; it must be less than or equal to 1"),
        ({"scale": 0}, "scale: 0 is not allowed; it must be 'auto' or must be greater than or equal to 0.05"),
        ({"tile": 10}, "tile: 10 is not allowed; it must be greater than or equal to 64"),
        ({"region": [1]}, r"region: \[1\] is not allowed; it must be a path"),
        ({"model": None}, "model: None is not allowed; it must be the name or the folder of a model, such as stardist"),
        ({"model": 3}, "model: 3 is not allowed"),
        ({"pixel_size": "garbage"}, "pixel_size: 'garbage' is not allowed; it must be a number of micrometres"),
        (
            {"measure": 1.5},
            "measure: 1.5 is not allowed; it must be `all`, or one or several names or numbers of channels",
        ),
        ({"precision": "half"}, "precision: 'half' is not allowed; it must be 'auto', 'float32' or 'bfloat16'"),
    ],
)
def test_an_option_out_of_range_is_refused(stack, option, said):
    with pytest.raises(ConfigError, match=said):
        nucseg.predict(stack[1], **option)


def test_what_is_measured_is_checked_before_the_prediction(stack, monkeypatch):
    monkeypatch.setattr(call, "given_image", None)
    with pytest.raises(ConfigError, match="expand: -1 is not allowed"):
        nucseg.predict(stack[1], measure="all", expand=-1)


def test_a_masked_image_is_refused(stack):
    with pytest.raises(InputError, match=r"^image: is a masked array with \d+ masked pixels; fill them first"):
        nucseg.predict(np.ma.masked_less(stack[1], 50))


def test_what_is_found_can_be_measured_and_written(stack, tmp_path):
    found = nucseg.predict(stack[1])
    assert len(nucseg.measure(found.labels, stack[1])) == 9
    assert nucseg.write(found, stack[1], tmp_path, pixel_size=np.float32(0.5))


def test_the_answer_is_of_the_exported_class(stack):
    assert isinstance(nucseg.predict(stack[1]), nucseg.Instances)


def test_every_option_of_predicting_is_a_documented_argument_with_the_same_default():
    parameters = dict(inspect.signature(nucseg.predict).parameters)
    del parameters["image"], parameters["model"]
    text = inspect.getdoc(nucseg.predict)
    measuring = dict.fromkeys(("measure", "expand", "pixel_size"))
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    assert defaults == PredictOptions().model_dump() | measuring
    for name, parameter in parameters.items():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default is not inspect.Parameter.empty
        assert f"\n    {name}: " in text
    with pytest.raises(TypeError, match="unexpected keyword argument 'chanel'"):
        nucseg.predict(np.zeros((8, 8)), chanel=0)


def test_type_checkers_are_told_that_the_package_has_types():
    project = Path(__file__).parents[2] / "pyproject.toml"
    assert files("nucseg").joinpath("py.typed").is_file()
    assert "py.typed" in tomllib.loads(project.read_text())["tool"]["setuptools"]["package-data"]["nucseg"]
