"""The command that trains a model on with one's own images."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from nucseg.cli import cli
from nucseg.finetuning import train as module
from nucseg.images.transforms import Normalize
from nucseg.models.bundle import ModelBundle
from nucseg.models.run import RunRecord
from nucseg.training.config import TrainingConfig


@pytest.fixture
def folder(tmp_path: Path, draw_nuclei: Callable, small_stardist: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with ten images, and a model to start from."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for number in range(10):
        image, labels = draw_nuclei((64, 64), 6, seed=number, gap=1)
        tifffile.imwrite(tmp_path / f"images/i{number}.tif", image)
        tifffile.imwrite(tmp_path / f"labels/i{number}.tif", labels)
    run = RunRecord.model_validate({"parameters": {"training": {"patch_size": 64}}})
    ModelBundle("first", small_stardist, (Normalize(),), run).save(tmp_path / "models/first")
    monkeypatch.setenv("NUCSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    short = TrainingConfig.model_validate
    lengths = {"steps_per_epoch": 1, "epochs": 2, "validation_patches": 2}
    monkeypatch.setattr(module, "TrainingConfig", lambda **given: short(given | lengths))
    return tmp_path


def train(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["train", "images", "labels", "--from", "first", *arguments])


def blank(folder: Path, *numbers: int) -> None:
    """Replace images by some without nuclei."""
    for number in numbers:
        noise = np.random.default_rng(number).integers(0, 3, (64, 64), np.uint8)
        tifffile.imwrite(folder / f"images/i{number}.tif", noise)
        tifffile.imwrite(folder / f"labels/i{number}.tif", np.zeros((64, 64), np.uint16))


@pytest.mark.slow
def test_a_model_is_trained_on_and_compared(folder: Path, recording_mlflow: Any) -> None:
    ended = train("--name", "mine", "--minutes", "5")
    assert ended.exit_code == 0, ended.output
    assert "Scores on 2 images (held out):" in ended.output
    run = json.loads((folder / "models/mine/run.json").read_text())
    assert {split: len(images) for split, images in run["splits"].items()} == {"train": 6, "val": 2}
    assert run["parameters"]["model"]["pretrained"] == "first"
    assert run["parameters"]["sampling"]["enlarge"] == [10, 20]  # as the first model's images are predicted
    assert "pretrained_run" in run
    scores = {
        name: json.loads((folder / f"evaluation-mine/{name}/metrics.json").read_text()) for name in ("first", "mine")
    }
    better = all(
        scores["mine"]["overall"][score] >= scores["first"]["overall"][score] for score in ("ap_mean_50_90", "f1_50")
    )
    assert ("mine is at least as good as first" in ended.output) == better
    assert ("go on using first" in ended.output) == (not better)
    assert (folder / "evaluation-mine/report.html").is_file()
    assert [each.kwargs["run_name"] for each in recording_mlflow.start_run.call_args_list] == ["first", "mine"]
    assert "mine" in CliRunner().invoke(cli, ["models"]).output

    assert "there is a model mine already" in train("--name", "mine").output


@pytest.mark.slow
def test_of_few_images_each_is_held_out_in_turn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5, 10):
        (folder / f"images/i{number}.tif").unlink()
        (folder / f"labels/i{number}.tif").unlink()
    trained = []
    monkeypatch.setattr(
        module, "_trained", lambda base, start, samples, work, *_: trained.append((work, samples)) or base
    )
    ended = train()
    assert ended.exit_code == 0, ended.output
    assert "Scores on 5 images (each held out in turn):" in ended.output
    name = f"first-{date.today():%Y-%m-%d}"
    assert [work.name for work, _ in trained] == [*(f"{name}-{number}" for number in range(1, 5)), name]
    assert {sample.split for sample in trained[-1][1]} == {"train", "val"}


@pytest.mark.slow
def test_models_are_not_compared_on_images_without_nuclei(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blank(folder, 0)
    monkeypatch.setattr(module, "_trained", lambda base, *_: base)
    monkeypatch.setattr(
        module,
        "choose_splits",
        lambda samples, _: [[replace(each, split="train" if each.n_nuclei else "test") for each in samples]],
    )
    ended = train("--name", "mine")
    assert ended.exit_code == 0, ended.output
    assert "mine is not comparable with first: no image held out has a nucleus." in ended.output
    assert "go on using" not in ended.output


@pytest.mark.parametrize("score", [None, 0.0])
def test_nothing_is_better_where_there_are_no_nuclei(score: float | None) -> None:
    scores = {"overall": {"n_true": 0, "ap_mean_50_90": score, "f1_50": score}}
    assert module.better(scores, scores) is None


def test_images_without_any_nucleus_are_refused_before_training(folder: Path) -> None:
    blank(folder, *range(10))
    ended = train("--name", "mine")
    assert ended.exit_code == 1
    assert ended.output.endswith("none of the 10 images has a nucleus; outline the nuclei of some of them.\n")
    assert not (folder / "models/.training").exists()


def test_a_damaged_model_is_not_trained_on(folder: Path) -> None:
    (folder / "models/first/config.json").write_text('{"format": 1, "mod')
    assert "first: not a complete model folder (Unterminated string" in train("--name", "mine").output


@pytest.mark.parametrize("minutes", ["nan", "inf"])
def test_a_time_that_is_no_number_is_refused(folder: Path, minutes: str) -> None:
    ended = train("--minutes", minutes)
    assert ended.exit_code == 2
    assert f"'--minutes': {minutes} is not allowed; give a number from 1, or leave it out." in ended.output


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("--name", "first"), "there is a model first already"),
        (("--name", "a" * 300), "is not allowed; use at most 100 characters"),
        (("--name", "_a"), "--name: '_a' is not allowed; use at most 100 characters, the first one a letter or digit."),
        (("--name", "a/b"), "--name: 'a/b' is not allowed"),
        (("--name", "mine", "-o", "there"), "report.html: exists"),
    ],
)
def test_nothing_is_overwritten(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    (folder / "there").mkdir()
    (folder / "there/report.html").write_text("kept")
    ended = train(*arguments)
    assert ended.exit_code == 1
    assert said in ended.output
    assert len(ended.output.splitlines()) == 1
    assert (folder / "there/report.html").read_text() == "kept"
    assert [each.name for each in (folder / "models").iterdir()] == ["first"]


def test_images_that_the_model_was_trained_on_are_shown_again(
    folder: Path, make_sample: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [make_sample(image_id=str(number), split="train") for number in range(30)]
    monkeypatch.setattr(module, "MANIFEST", folder / "images/i0.tif")
    monkeypatch.setattr(module, "read_manifest", lambda _: known)
    base = ModelBundle("first", None, (), RunRecord(splits={"train": [sample.key for sample in known[:20]]}))
    found = module._replayed(base, 6)
    assert len(found) == 6
    assert {sample.key for sample in found} <= {sample.key for sample in known[:20]}
    assert module._replayed(base, 6) == found
    assert len(module._replayed(base, 100)) == 20


def test_a_time_limit_stops_before_an_epoch_that_would_end_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from nucseg.training import callbacks

    now = [0.0]
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: now[0]))
    limit = callbacks.TimeLimit(100)
    limit.set_model(SimpleNamespace(stop_training=False))
    limit.on_train_begin()
    stopped = []
    for epoch in range(3):
        limit.on_epoch_begin(epoch)
        now[0] += 30
        limit.on_epoch_end(epoch)
        stopped.append(limit.model.stop_training)
    assert stopped == [False, False, True]


@pytest.mark.parametrize(
    "minutes, left",
    [(None, 2.5 + 2 * 5), (4.0, 1.5 + 2 * 4), (1.0, 0 + 2 * 2.5)],
    ids=["all epochs", "a limit", "a limit below one epoch"],
)
def test_the_time_left_is_that_of_all_trainings(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, minutes: float | None, left: float
) -> None:
    from types import SimpleNamespace

    from nucseg.training import callbacks

    now = [0.0]
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: now[0]))
    caplog.set_level("INFO")
    log = callbacks.EpochLog(TrainingConfig(epochs=2, steps_per_epoch=10, minutes=minutes), following=2)
    log.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=1e-4)))
    log.on_train_begin()
    log.on_epoch_begin(0)
    log.on_test_begin()
    now[0] = 150.0
    log.on_epoch_end(0, {"loss": 1.0, "val_loss": 1.0})
    assert f"at most {left:.0f} min left." in caplog.text


def test_a_training_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nucseg", "train", str(tmp_path), str(tmp_path), "--until-input-ends"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (1, b"")
