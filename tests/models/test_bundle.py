import json

import h5py
import numpy as np
import pytest

from nucseg.core.errors import ModelError
from nucseg.images.transforms import Normalize, Rescale
from nucseg.models.bundle import ModelBundle
from nucseg.models.run import RunRecord
from whole_images import predict_whole

TRANSFORMS = (Rescale(factor=0.5), Normalize(pmin=2, min_range=0.01))


@pytest.fixture
def folder(tmp_path, small_stardist):
    ModelBundle("mine", small_stardist, TRANSFORMS, RunRecord(seed=1, history=[{"loss": 0.5}])).save(tmp_path / "model")
    return tmp_path / "model"


def edit(file, **changes):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_what_is_saved_is_loaded(folder, small_stardist):
    bundle = ModelBundle.load(folder)
    assert (bundle.name, bundle.transforms) == ("mine", TRANSFORMS)
    assert bundle.run.content() == {"seed": 1, "history": [{"loss": 0.5}]}
    assert bundle.model.thresholds == small_stardist.thresholds
    assert bundle.preprocessor().transforms == TRANSFORMS
    assert bundle.preprocessor().in_channels == 1
    image = np.random.default_rng(0).random((48, 32, 1), np.float32)
    (expected,), (found,) = predict_whole(small_stardist, [image]), predict_whole(bundle.model, [image])
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_the_folder_holds_what_the_design_says(folder, small_stardist):
    names = {file.name for file in folder.iterdir()}
    assert names == {"config.json", "model.weights.h5", "thresholds.json", "run.json"}
    config = json.loads((folder / "config.json").read_text())
    assert config["model"] == "stardist"
    assert config["in_channels"] == 1
    assert config["architecture"]["n_rays"] == 16
    assert [transform["name"] for transform in config["preprocessing"]] == ["rescale", "normalize"]
    weights = 4 * small_stardist.network.count_params()
    # Without the optimizer, which would make it three times as large.
    assert (folder / "model.weights.h5").stat().st_size < weights + 200_000


def test_saving_replaces_the_whole_folder(folder, small_stardist):
    (folder / "leftover.txt").write_text("old")
    ModelBundle("new", small_stardist, ()).save(folder)
    assert not (folder / "leftover.txt").exists()
    assert ModelBundle.load(folder).name == "new"


def test_a_failed_save_leaves_the_old_model(folder, small_stardist):
    with pytest.raises(ValueError, match="serialize"):
        ModelBundle("new", small_stardist, (), RunRecord(loss=object())).save(folder)
    assert ModelBundle.load(folder).name == "mine"
    assert [file.name for file in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "thresholds.json", "run.json"])
@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_an_incomplete_folder_is_refused(folder, name, damage):
    file = folder / name
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(ModelError, match=r"model.*(dvc pull)"):
        ModelBundle.load(folder)


def test_a_folder_from_before_small_nuclei_were_left_out_leaves_none_out(folder, small_stardist):
    file = folder / "thresholds.json"
    thresholds = json.loads(file.read_text())
    del thresholds["area"]
    file.write_text(json.dumps(thresholds))
    assert ModelBundle.load(folder).model.thresholds == {**small_stardist.thresholds, "area": 0}


def test_values_that_are_no_numbers_are_no_model(folder, small_stardist):
    file = folder / "thresholds.json"
    before = file.read_text()
    file.write_text(before.replace("0.5", "NaN").replace("0.4", "NaN"))
    with pytest.raises(ModelError, match=r"thresholds\.json has a value that is not a number"):
        ModelBundle.load(folder)
    file.write_text(before)
    with h5py.File(folder / "model.weights.h5", "r+") as weights:
        found = []
        weights.visititems(lambda name, each: found.append(each) if isinstance(each, h5py.Dataset) else None)
        found[-1][...] = np.nan
    with pytest.raises(ModelError, match=r"model\.weights\.h5 has values that are not numbers"):
        ModelBundle.load(folder)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ModelError, match="nowhere: not a complete model folder"):
        ModelBundle.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"format": 2}, "format 2 is not the 1"),
        ({"model": "cellpose"}, "'cellpose' is unknown; allowed are stardist"),
        ({"preprocessing": [{"name": "sharpen"}]}, "'sharpen'"),
        ({"architecture": {"n_rays": 16, "colour": "red"}}, "colour"),
        ({"architecture": {"n_rays": 32}}, "not a complete StarDist model"),
    ],
)
def test_another_kind_of_model_is_refused(folder, changes, message):
    edit(folder / "config.json", **changes)
    with pytest.raises(ModelError, match=message):
        ModelBundle.load(folder)


def test_a_folder_of_the_stardist_package_is_refused(folder):
    (folder / "config.json").write_text(json.dumps({"n_rays": 32, "grid": [2, 2]}))
    with pytest.raises(ModelError, match="no format, model, name, preprocessing: not a nucseg model"):
        ModelBundle.load(folder)
