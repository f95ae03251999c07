"""`nucseg train-areas`: which areas are held out, what is refused, and a model that is trained."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from nucseg.cli import cli
from nucseg.core.types import VOID, Sample
from nucseg.finetuning import areas as module
from nucseg.finetuning.areas import _chosen
from nucseg.finetuning.pseudo import Labelled, Round
from nucseg.images.io import read_labels, write_image, write_labels
from nucseg.training.pseudo_config import PseudoConfig


def draw(folder: Path, name: str, seed: int, *areas: tuple[slice, slice]) -> None:
    """Draw squares, of which the given areas are outlined."""
    rng = np.random.default_rng(seed)
    classes = np.kron(rng.integers(0, 2, (8, 8)), np.ones((8, 8), int))
    write_image(folder / f"images/{name}.tif", (60 + 120 * classes + rng.integers(0, 9, (64, 64))).astype(np.uint8))
    outlined = np.full((64, 64), VOID, np.uint8)
    for area in areas:
        outlined[area] = classes[area]
        outlined[area][0, :2] = 0, 1
    if areas:
        write_labels(folder / f"areas/{name}.tif", outlined)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUCSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    for name in ("images", "areas"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace the training; what it would learn from is returned."""
    found: dict[str, Any] = {}

    class Bundle:
        def save(self, folder: Path) -> None:
            folder.mkdir(parents=True)

    def train(samples: list[Sample], further: list[Sample], config: PseudoConfig, **given: Any) -> Labelled:
        maps = {sample.key: read_labels(sample.label_file()) for sample in samples}
        found.update(samples=samples, further=further, config=config, maps=maps)
        return Labelled(Bundle(), (Round(1, 0.8, True, 0.1), Round(2, 0.7, False, 0.9)))  # type: ignore[arg-type]

    monkeypatch.setattr(module, "train_in_rounds", train)
    return found


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["train-areas", "images", "areas", "--classes", "background, mark", *arguments])


def test_whole_images_are_held_out_and_others_learned_from_later(folder: Path, seen: dict[str, Any]) -> None:
    for number in range(8):
        draw(folder, f"i{number}", number, np.s_[4:40, 8:50])
    draw(folder, "more", 9)
    ended = run("--name", "mine", "--minutes", "10")
    assert ended.exit_code == 0, ended.output
    assert "Images with outlined areas: 8. Images without: 1." in ended.output
    assert "Round 2: mean IoU 0.700 on the areas held out, learned from 90.0 % of the pixels; not taken" in ended.output
    assert (folder / "models/mine").is_dir()
    assert len(seen["samples"]) == 8
    assert 1 <= sum(sample.split == "val" for sample in seen["samples"]) <= 4  # images that are alike stay together
    assert [(sample.image_id, sample.label_path) for sample in seen["further"]] == [("more", None)]
    assert seen["config"].first.architecture.classes == ("background", "mark")
    assert seen["config"].further.training.minutes == 5
    for sample in seen["samples"]:
        np.testing.assert_array_equal(seen["maps"][sample.key], read_labels(folder / f"areas/{sample.image_id}.tif"))


def test_of_one_image_areas_are_held_out(folder: Path, seen: dict[str, Any]) -> None:
    draw(folder, "slide", 0, np.s_[0:10, 0:10], np.s_[20:30, 0:10], np.s_[40:50, 0:10], np.s_[40:50, 30:50])
    assert run().exit_code == 0
    assert [(sample.image_id, sample.split) for sample in seen["samples"]] == [
        ("slide train", "train"),
        ("slide val", "val"),
    ]
    train, val = seen["maps"].values()
    assert not ((train != VOID) & (val != VOID)).any()
    np.testing.assert_array_equal(np.minimum(train, val), read_labels(folder / "areas/slide.tif"))
    assert 100 <= (val != VOID).sum() <= 200  # one of the four


def test_qupaths_outlines(folder: Path, seen: dict[str, Any]) -> None:
    draw(folder, "slide", 0)

    def feature(name: str, x: int, y: int, side: int) -> dict[str, Any]:
        corners = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
        geometry = {"type": "Polygon", "coordinates": [corners]}
        return {"type": "Feature", "geometry": geometry, "properties": {"classification": {"name": name}}}

    outlines = [feature(name, x, 5, side) for x in (0, 30) for name, side in (("background", 20), ("mark", 6))]
    (folder / "areas/slide.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": outlines}))
    ended = run()
    assert ended.exit_code == 0, ended.output
    for classes in seen["maps"].values():
        numbers, counts = np.unique(classes, return_counts=True)
        assert dict(zip(numbers.tolist(), counts.tolist(), strict=True)) == {0: 364, 1: 36, VOID: 64 * 64 - 400}


def test_the_last_place_of_a_class_is_learned_from() -> None:
    shown = {1: {0}, 2: {0, 1}, 3: {0}, 4: {0, 2}, 5: {0, 2}}
    held_out = _chosen(shown)
    assert 2 not in held_out
    assert len(held_out & {4, 5}) == 1
    assert _chosen({1: {0, 1}}) == set()
    assert _chosen({1: {0}, 2: {1}}) == set()


def test_what_cannot_be_learned_from_is_refused_in_one_line(folder: Path, seen: dict[str, Any]) -> None:
    def refused(*arguments: str) -> str:
        ended = run(*arguments)
        assert ended.exit_code == 1, ended.output
        error = str(ended.output).rpartition("Error: ")[2]  # after the progress bar
        assert len(error.splitlines()) == 1
        return error

    assert "images: has no file ending in one of .tif" in refused()
    draw(folder, "a", 0)
    assert "areas: has no file ending in one of" in refused()
    write_labels(folder / "areas/b.tif", np.zeros((64, 64), np.uint8))
    assert "areas: none of its files has the name of an image in images." in refused()
    draw(folder, "a", 0, np.s_[0:10, 0:10])
    assert "no class is outlined in two places" in refused()
    assert "classes: ('mark',) is not allowed; it must have at least 2 values." in refused("--classes", "mark")
    (folder / "models/mine").mkdir(parents=True)
    assert "there is a model mine already" in refused("--name", "mine")


def test_images_that_cannot_be_used_are_named(folder: Path, seen: dict[str, Any]) -> None:
    for number in range(2):
        draw(folder, f"i{number}", number, np.s_[0:20, 0:20])
    draw(folder, "wrong", 5)
    write_labels(folder / "areas/wrong.tif", np.full((64, 64), 2, np.uint8))
    ended = run()
    assert ended.exit_code == 1
    assert (
        "Left out: wrong: its class map has the value 2, but the classes are 0 to 1 (background, mark)" in ended.output
    )
    assert len(seen["samples"]) == 2


@pytest.mark.slow
def test_a_model_is_trained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        draw(folder, f"i{number}", number, np.s_[0:40, 0:40])
    network = {"classes": ["background", "mark"], "decoder_filters": [8, 8, 8, 8], "in_channels": 1}
    training = {"patch_size": 32, "batch_size": 2, "steps_per_epoch": 1, "epochs": 1, "validation_patches": 2}
    plan = {"architecture": network, "training": training}
    config = PseudoConfig.model_validate({"first": plan, "further": plan, "rounds": 1})
    monkeypatch.setattr(module, "_config", lambda *given: config)
    ended = run("--name", "mine")
    assert ended.exit_code == 0, ended.output
    ended = CliRunner().invoke(cli, ["segment", "images/i0.tif", "-o", "found", "--model", "mine"])
    assert ended.exit_code == 0, ended.output
    assert read_labels(folder / "found/classes/i0.tif").max() <= 1
