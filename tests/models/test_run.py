"""The record of a run: what is written can be read, by later versions, too."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nucseg.core.errors import ModelError
from nucseg.core.types import Sample
from nucseg.models import run as run_module
from nucseg.models.run import RunRecord, create_run_record, data_digest, git_commit, load_parent_run
from nucseg.models.shipped import unpack
from nucseg.models.sizes import TrainedSizes

FACTS = {"modality": "fluorescence", "magnification": None, "test_class": None, "height": 8, "width": 8, "channels": 1}


@pytest.fixture
def samples(tmp_path):
    found = []
    for number, split in enumerate(["train", "train", "val"]):
        image, label = tmp_path / f"{number}.tif", tmp_path / f"{number}-labels.tif"
        image.write_bytes(b"image %d" % number)
        label.write_bytes(b"labels %d" % number)
        paths = {"image_path": image, "label_path": label, "n_nuclei": 1, "median_diameter_px": 5.0}
        found.append(Sample(image_id=str(number), dataset="drawn", split=split, **FACTS, **paths))
    return found


def test_images_of_the_parents_count_too():
    first = {"splits": {"train": ["a/1", "a/2"], "val": ["a/3"]}}
    second = {"splits": {"train": ["b/1", "a/1"]}, "pretrained_run": first}
    third = RunRecord.model_validate({"splits": {"val": ["c/1"]}, "pretrained_run": second})
    assert third.images_seen() == {"train": {"a/1", "a/2", "b/1"}, "val": {"a/3", "c/1"}}
    assert RunRecord().images_seen() == {}
    assert [len(run.splits) for run in third.ancestry()] == [1, 1, 2]


def test_what_is_read_is_written_again(tmp_path):
    content = {
        "created": "2026-11-21T16:28:51+00:00",
        "history": [{"epoch": 1, "loss": 0.5, "val_loss": None}],
        "pretrained_run": {"seed": 1, "parameters": {"model": {"pretrained": None}, "tools": [1]}},
        "of_another_version": {"a": 1},
    }
    (tmp_path / "run.json").write_text(json.dumps(content))
    run = RunRecord.load(tmp_path)
    assert json.dumps(run.content(), sort_keys=True) == json.dumps(content, sort_keys=True)
    assert run.parent_run.seed == 1


@pytest.mark.parametrize("model", ["stardist", "mask_rcnn"])
def test_the_records_of_shipped_models_are_read_whole(tmp_path, model):
    folder = unpack(Path(__file__).parents[2] / f"data/06_models/{model}.dvc", tmp_path / model)
    run = RunRecord.load(folder)
    assert run.content() == json.loads((folder / "run.json").read_text())
    assert set(run.images_seen()) == {"train", "val"}
    assert run.validation.scores["overall"]["f1_50"] > 0.8
    assert all(each.parameters.training and not each.model_extra for each in run.ancestry())


@pytest.mark.parametrize(
    "content, said",
    [
        ("{", r"not a complete model folder \(run\.json: Expecting"),
        ("[1]", r"\(run\.json: its content "),
        ('{"splits": {"train": "a/1"}}', r"\(run\.json: splits\.train must be a list\)"),
        ('{"seed": "x"}', r"\(run\.json: seed must be a whole number\)"),
        (None, r"not a complete model folder \(run\.json: .*No such file"),
    ],
)
def test_a_damaged_record_is_refused_in_one_line(tmp_path, content, said):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(ModelError, match=said) as caught:
        RunRecord.load(tmp_path)
    assert "\n" not in str(caught.value)
    assert "dvc pull" in str(caught.value)


def test_the_record_of_a_pretrained_model(tmp_path):
    assert load_parent_run(None) is None
    assert load_parent_run("2D_versatile_fluo") is None
    assert load_parent_run(str(tmp_path)) is None
    (tmp_path / "run.json").write_text(json.dumps({"seed": 42}))
    assert load_parent_run(str(tmp_path)) == RunRecord(seed=42)


def test_a_new_record_holds_everything_but_the_scores(samples):
    given = {"seed": 1, "precision": "float32", "device": "CPU", "data_sha256": "ab"}
    history = [{"epoch": 1, "loss": float("inf")}]
    parameters = {"model": {"filters": 4}, "training": None, "preprocessing": [], "augmentation": None}
    run = create_run_record(samples, parameters=parameters, history=history, parent_run=None, **given)
    content = json.loads(json.dumps(run.content(), allow_nan=False))
    assert content["splits"] == {"train": ["drawn/0", "drawn/1"], "val": ["drawn/2"]}
    assert content["history"] == [{"epoch": 1, "loss": None}]
    assert content["parameters"] == parameters
    assert content["validation"] == {}
    assert {"nucseg", "python", "tensorflow"} <= set(content["versions"])
    assert "pretrained_run" not in content
    child = create_run_record(samples, parameters=parameters, history=[], parent_run=run, **given)
    assert child.content()["pretrained_run"] == run.content()


def test_digest_depends_on_content_and_split_but_not_on_order_or_folder(samples, tmp_path):
    digest = data_digest(samples)
    assert data_digest(samples[::-1]) == digest
    moved = [replace(each, image_path=Path(f"{each.image_path}.moved")) for each in samples]
    for each, there in zip(moved, samples, strict=True):
        each.image_path.write_bytes(there.image_path.read_bytes())
    assert data_digest(moved) == digest
    assert data_digest([replace(samples[0], split="test"), *samples[1:]]) != digest
    samples[0].label_path.write_bytes(samples[1].label_path.read_bytes())
    assert data_digest(samples) != digest


def test_no_git_no_commit(monkeypatch):
    def missing(*arguments, **options):
        raise FileNotFoundError("git")

    monkeypatch.setattr(run_module.subprocess, "run", missing)
    assert git_commit() is None


def test_commit_of_the_checkout():
    commit = git_commit()
    assert commit is None or len(commit.removesuffix("+changes")) == 40


@pytest.mark.parametrize(
    "sampling, expected",
    [
        ({"diameters": [8, 120.0]}, TrainedSizes((8.0, 120.0))),
        ({"diameters": [8, 120.0], "enlarge": [20, 24]}, TrainedSizes((8.0, 120.0), (20.0, 24.0))),
        ({"enlarge": [20, 24.0]}, TrainedSizes(None, (20.0, 24.0))),
        ({"diameters": None, "enlarge": None}, TrainedSizes()),
        ({}, TrainedSizes()),
        (None, TrainedSizes()),
    ],
)
def test_the_sizes_of_the_training(sampling, expected):
    assert RunRecord.model_validate({"parameters": {"sampling": sampling}}).sizes() == expected
    trained = {"parameters": {"sampling": sampling, "training": {"epochs": 1}}}
    kept = RunRecord.model_validate({"parameters": {"training": None}, "pretrained_run": trained})
    assert kept.sizes() == expected


def test_a_training_of_nuclei_as_they_are_does_not_show_the_sizes_of_the_one_before():
    before = {"parameters": {"sampling": {"diameters": [8, 120]}, "training": {"epochs": 1}}}
    run = {"parameters": {"sampling": {"diameters": None}, "training": {"epochs": 1}}, "pretrained_run": before}
    assert RunRecord.model_validate(run).sizes() == TrainedSizes()
