import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from scipy import ndimage

from fake_classifier import DarkPatches, draw_slide
from fake_segmenter import FakeSegmenter
from nucseg.batch.summary import ORIGIN
from nucseg.cli import cli
from nucseg.core.types import Instances
from nucseg.inference import predictor
from nucseg.inference.mitoses import predictor as mitoses_predictor
from nucseg.models.bundle import ModelBundle

RUN_COLUMNS = ("status", *ORIGIN, "seconds", "error", "notes", "source", "files")
"""Of every summary; docs/predict.md describes them."""


@pytest.fixture
def models(tmp_path: Path) -> dict[str, str]:
    """Write what says the task of a model: one folder for each."""
    kinds = {"mitosis": "patch_classifier", "nuclei": "stardist"}
    for name, kind in kinds.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"model": kind}))
    return {name: str(tmp_path / name) for name in kinds}


@pytest.fixture
def slide(tmp_path: Path) -> str:
    image, _ = draw_slide((150, 240), [(30.0, 40.0), (100.0, 200.0), (60.0, 120.0)], [(120.0, 90.0)])
    tifffile.imwrite(tmp_path / "slide.tif", image, photometric="rgb")
    return str(tmp_path / "slide.tif")


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command load a segmenter and a classifier that need no network."""

    def dark_parts(image: np.ndarray) -> Instances:
        labels = ndimage.label(image.mean(-1) < 0.7)[0]
        return Instances(labels.astype(np.int32), np.full(labels.max(), 0.9, np.float32))

    bundle = ModelBundle("fake", FakeSegmenter(dark_parts, in_channels=3), ())
    monkeypatch.setattr(predictor, "load_segmenter", lambda folder: bundle)
    monkeypatch.setattr(mitoses_predictor, "load_classifier", lambda folder: DarkPatches())


@pytest.mark.usefixtures("fakes")
def test_the_commands_of_the_page(models, slide, tmp_path, monkeypatch) -> None:
    """Each runs as it stands, one after the other, on slides in a folder of its own."""
    page = (Path(__file__).parents[2] / "docs/mitosis.md").read_text()
    (block,) = re.findall(r'^```bash title="needs slides"\n(.*?)^```', page, re.MULTILINE | re.DOTALL)
    Path(models["nuclei"]).rename(tmp_path / "stardist")
    monkeypatch.setenv("NUCSEG_MODELS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("slides").mkdir()
    tifffile.imwrite("slides/a.tif", tifffile.imread(slide), photometric="rgb")
    size = {"resolution": (40_000, 40_000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite("slide.ome.tif", tifffile.imread(slide), photometric="rgb", ome=False, **size)
    for command in block.splitlines():
        name, *arguments = shlex.split(command)
        assert name == "nucseg"
        ended = CliRunner().invoke(cli, arguments)
        assert ended.exit_code == 0, ended.output
    assert sorted(path.name for path in Path("results").glob("*.csv")) == [
        "a.mitoses.csv",
        "mitoses.csv",
        "slide.mitoses.csv",
    ]
    columns = Path("results/mitoses.csv").read_text().splitlines()[0].split(",")
    assert [name for name in columns if f"`{name}`" not in page] == list(RUN_COLUMNS)
    columns = Path("results/a.mitoses.csv").read_text().splitlines()[0].split(",")
    assert [name for name in columns if f"`{name}`" not in page] == []


@pytest.mark.usefixtures("fakes")
def test_planted_mitoses_are_reported_with_what_they_depend_on(models, slide, tmp_path) -> None:
    arguments = ["mitoses", slide, "-o", str(tmp_path / "out"), "--scale", "1", "--pixel-size", "0.25"]
    arguments += ["--classifier", models["mitosis"], "--model", models["nuclei"]]
    ended = CliRunner().invoke(cli, arguments)
    assert ended.exit_code == 0, ended.output
    assert "slide: 1 mitosis, 444.4 per mm² of the image, less than 2 mm² in all; " in ended.output
    assert (
        "  4 nuclei were classified; a mitosis that was not found as a nucleus is not counted, so all counts depend on "
        "the nuclei found." in ended.output
    )
    assert "1 slide, 1 mitosis in " in ended.output
    assert f" s -> {tmp_path / 'out/mitoses.csv'}" in ended.output
    again = CliRunner().invoke(cli, [*arguments, "--resume"])
    assert "slide: 1 mitosis, 444.4 per mm² of the image, less than 2 mm² in all; finished by an ea" in again.output
    refused = CliRunner().invoke(cli, arguments)
    assert refused.exit_code == 1
    assert "1 slide (1 failed), 0 mitoses" in refused.output


@pytest.mark.parametrize(
    "command, model, classifier, said",
    [
        ("predict", "mitosis", None, "finds no nuclei: use it with `nucseg mitoses SLIDE --classifier"),
        ("mitoses", "mitosis", "mitosis", "finds no nuclei: use it with `nucseg mitoses SLIDE --classifier"),
        ("mitoses", "nuclei", "nuclei", "finds nuclei and classifies no patches: choose a classifier such as mitosis"),
        ("mitoses", "nuclei", "nosuchmodel", "model 'nosuchmodel': no config.json"),
    ],
)
def test_a_model_of_the_other_task_is_refused_in_one_line(
    models, slide, tmp_path, monkeypatch, command, model, classifier, said
) -> None:
    if classifier == model == "mitosis":
        monkeypatch.setattr(mitoses_predictor, "load_classifier", lambda folder: DarkPatches())
    arguments = [command, slide, "-o", str(tmp_path / "out"), "--model", models[model]]
    arguments += ["--classifier", models.get(classifier, classifier)] if classifier else []
    ended = CliRunner().invoke(cli, arguments)
    assert ended.exit_code == 1
    assert said in ended.output
    assert len(ended.output.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_options_that_do_not_fit_together(models, slide, tmp_path) -> None:
    arguments = ["mitoses", slide, "-o", str(tmp_path / "out"), "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"]
    ended = CliRunner().invoke(cli, arguments)
    assert ended.exit_code == 2
    assert "has its own workers" in ended.output
    wrong = CliRunner().invoke(cli, ["mitoses", slide, "-o", str(tmp_path / "out"), "--threshold", "2"])
    assert "'--threshold': '2': must be less than or equal to 1" in wrong.output
