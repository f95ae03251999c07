"""The list of models."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nucseg.cli import cli
from nucseg.models.bundle import ModelBundle
from nucseg.models.run import RunRecord, Validation


@pytest.fixture
def folder(tmp_path: Path, small_stardist: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the models `mine`, which went on from another one, and `broken`."""
    parent = RunRecord(splits={"train": ["bbbc038/a", "bbbc038/b"]})
    run = RunRecord(
        created="2026-11-26T10:11:12+00:00",
        splits={"train": ["own/a"], "val": ["own/b"]},
        validation=Validation(scores={"overall": {"f1_50": 0.9, "ap_mean_50_90": None}}),
        pretrained_run=parent,
    )
    ModelBundle("mine", small_stardist, (), run).save(tmp_path / "mine")
    shutil.copytree(tmp_path / "mine", tmp_path / "broken")
    (tmp_path / "broken/run.json").write_text("{")
    monkeypatch.setenv("NUCSEG_MODELS", str(tmp_path))
    return tmp_path


def test_each_model_has_a_line(folder: Path) -> None:
    ended = CliRunner().invoke(cli, ["models"])
    assert ended.exit_code == 0, ended.output
    lines = {line.split()[0]: line for line in ended.output.splitlines()}
    version = json.loads(CliRunner().invoke(cli, ["models", "--json"]).output)["mine"]["version"]
    expected = f"stardist {version} 2026-11-26 2 images of bbbc038, 1 image of own f1_50 0.900"
    assert " ".join(lines["mine"].split()[1:]) == expected
    assert "cannot be used: " in lines["broken"]
    assert "stardist (default)" in lines["stardist"]


def test_as_json(folder: Path) -> None:
    listed = json.loads(CliRunner().invoke(cli, ["models", "--json"]).output)
    assert listed["mine"] | {"version": ""} == {
        "name": "mine",
        "kind": "stardist",
        "version": "",
        "created": "2026-11-26",
        "data": {"bbbc038": 2, "own": 1},
        "scores": {"f1_50": 0.9},
        "folder": str(folder / "mine"),
        "default": False,
    }
    assert "run.json" in listed["broken"]["error"]
    assert listed["stardist"]["default"]


def test_the_version_changes_with_the_weights_but_not_with_the_record(folder: Path) -> None:
    from nucseg.models.version import model_version

    version = model_version(folder / "mine")
    assert len(version) == 16
    assert model_version(folder / "broken") == version
    with (folder / "broken/thresholds.json").open("a") as file:
        file.write(" ")
    assert model_version(folder / "broken") != version
