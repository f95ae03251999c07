"""The project as its users run it: a copy in a folder of its own, the command line, every pipeline on its own."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from PIL import Image

ROOT = Path(__file__).parents[1]
SHORT = {
    "stardist": {
        "architecture": {"n_rays": 8, "decoder_filters": [8, 8, 8, 8], "net_conv_after_unet": 8, "refine_filters": 8},
        "training": {"patch_size": 64, "batch_size": 2, "steps_per_epoch": 2, "epochs": 1, "validation_patches": 2},
    },
    "mask_rcnn": {
        "architecture": {
            "filters": [8, 8, 8, 8],
            "blocks": [1, 1, 1, 1],
            "pyramid_channels": 8,
            "box_units": 8,
            "mask_convolutions": 1,
            "mask_channels": 8,
            "pretrained": None,
        },
        "training": {"patch_size": 64, "batch_size": 2, "steps_per_epoch": 2, "epochs": 1, "validation_patches": 2},
    },
    "mitosis": {
        "name": "mitosis",
        "architecture": {"network": "small", "pretrained": None},
        "training": {"batch_size": 4, "steps_per_epoch": 2, "epochs": 1, "validation_patches": 4},
    },
}
STAGES = (
    "data_download",
    "data_processing",
    "data_augmentations",
    "model_training",
    "model_evaluation",
    "results_visualization",
)


def _copy_project(folder: Path) -> Path:
    shutil.copytree(ROOT / "conf", folder / "conf")
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "src/nucseg", folder / "src/nucseg", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project, as the working directory."""
    folder = _copy_project(tmp_path_factory.mktemp("project"))
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def run(project: Path, env: str, parameters: dict[str, Any] | None = None, **selection: Any) -> None:
    bootstrap_project(project)
    with KedroSession.create(project_path=project, env=env, runtime_params=SHORT | (parameters or {})) as session:
        session.run(**selection)


def said_to(project: Path, *commands: str) -> list[tuple[int, str]]:
    """Run lines of a shell in which all `kedro` are one process; return the status and the words of each line."""
    script = "\n".join(f"status=0; {{ {line}; }} || status=$?; echo; echo =$status=" for line in commands)
    ended = subprocess.run(
        [sys.executable, ROOT / "tests/project/one_process.py", script],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"COLUMNS": "400", "TERM": "dumb"},
        check=True,
        timeout=600,
    )
    *said, _ = re.split(r"(?m)^=(\d+)=\n", ended.stdout)
    return [(int(status), words) for words, status in zip(said[::2], said[1::2], strict=True)]


def _files(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_second_download_changes_nothing(project: Path) -> None:
    archive = project / "data/demo/01_raw/demo"
    run(project, "demo", pipeline_names=["data_download"])
    before = _files(archive)
    run(project, "demo", pipeline_names=["data_download"])
    assert before
    assert _files(archive) == before


DATA = {"download", "convert", "split", "define_augmenter", "preview_augmentations"}
TRAINING = {"stardist.train", "stardist.tune_thresholds"}
EVALUATION = {f"stardist.{name}" for name in ("describe_model", "predict_test_split", "export", "score")}
PICTURES = {"stardist.draw_overlays", "stardist.collect_section"}
OTHERS = {"mask_rcnn.draw_overlays", "mask_rcnn.collect_section"}
REPORT = {"draw_differences", "write_report"}


@pytest.mark.parametrize(
    "pipeline, selection, expected",
    [
        ("stardist", {"tags": ["model_validation"]}, EVALUATION),
        ("stardist", {"tags": ["model_training"]}, TRAINING),
        ("__default__", {"tags": ["results_visualization"]}, PICTURES | OTHERS | REPORT),
        ("__default__", {"node_namespaces": ["stardist"]}, TRAINING | EVALUATION | PICTURES),
        ("stardist", {}, DATA | TRAINING | EVALUATION | PICTURES | REPORT),
    ],
    ids=["validation", "training", "report", "namespace", "model"],
)
def test_tags_namespaces_and_models_select(
    project: Path, pipeline: str, selection: dict[str, Any], expected: set[str]
) -> None:
    bootstrap_project(project)
    assert {node.name for node in pipelines[pipeline].filter(**selection).nodes} == expected


def test_a_training_never_replaces_another_model(tmp_path: Path) -> None:
    """The runs end before anything is trained: there is no data."""
    project = _copy_project(tmp_path)
    mine = project / "data/06_models/mine"
    mine.mkdir(parents=True)
    (mine / "config.json").write_text("{}")
    run = "kedro run --pipelines stardist --tags"
    today = f"stardist-{date.today():%Y-%m-%d}"
    expected = {
        f"{run} model_training": f"the model {today}, to be trained",
        f"mkdir data/06_models/{today}; {run} model_training": f"the model {today}-2, to be trained",
        f"{run} model_training --params stardist.name=new": "the model new, to be trained",
        f"{run} model_training --params stardist.name=mine": ("stardist.name is 'mine': there is such a model already"),
        f"{run} model_training --params stardist.name=mine,stardist.replace=true": "the model mine, to be trained",
        f"{run} model_validation --params stardist.name=mine": f"the model mine in {mine}",
        f"{run} model_training --params stardist.name=a/b": "stardist.name is 'a/b'",
    }
    for (status, said), words in zip(said_to(project, *expected), expected.values(), strict=True):
        assert status != 0
        assert words in said


@pytest.mark.slow
def test_an_archive_on_disk_goes_the_whole_way(project: Path, draw_nuclei: Callable) -> None:
    """`kedro run --env cpu --pipelines stardist --params data_download.datasets=bbbc038,...url=<path>`."""
    archive = project / "stage1_train.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for number in range(12):
            image, labels = draw_nuclei((96, 96), n=5, seed=number)
            opaque = np.dstack([image, image, image, np.full_like(image, 255)])
            pictures = {f"images/image{number}": opaque}
            pictures |= {
                f"masks/{label}": np.where(labels == label, np.uint8(255), np.uint8(0)) for label in range(1, 6)
            }
            for name, picture in pictures.items():
                stream = io.BytesIO()
                Image.fromarray(picture).save(stream, "PNG")
                opened.writestr(f"image{number}/{name}.png", stream.getvalue())
    # Few images: a split without near-duplicates' groups and with a share for each.
    split = {"salt": "a", "train": 0.4, "val": 0.3, "test": 0.3, "group_near_duplicates": False}
    run(
        project,
        "cpu",
        {
            "data_download": {"datasets": "bbbc038", "bbbc038": {"url": str(archive)}},
            "data_preprocessing": {"split": split},
            "stardist": SHORT["stardist"] | {"name": "mine"},
        },
        pipeline_names=["stardist"],
    )
    samples = pd.read_csv(project / "data/03_primary/samples.csv")
    assert len(samples) == 12
    assert samples["n_nuclei"].eq(5).all()
    assert set(samples["split"]) == {"train", "val", "test"}
    per_image = pd.read_csv(project / "data/08_reporting/mine/per_image.csv")
    assert set(per_image["image_id"]) == set(samples.loc[samples["split"] == "test", "image_id"])
    assert json.loads((project / "data/06_models/mine/config.json").read_text())["name"] == "mine"
    assert json.loads((project / "data/08_reporting/mine/metrics.json").read_text())["model"] == "mine"
    assert not (project / "data/06_models/stardist").exists()


WRONG = {
    "stardist.training.epochs=0": ["model_config.yml", "stardist.training.epochs", "0", "greater than or equal to 1"],
    "data_download.datasets=bbbc039": ["data_download.yml", "data_download.datasets", "bbbc039", "bbbc038"],
    "model_evaluation.metrics=f2": ["model_evaluation.yml", "model_evaluation.metrics", "f2", "dsb2018_score"],
    "stardist.training.epoch=3": ["--params", "stardist.training.epoch", "no such parameter", "mean epochs?"],
}


def test_a_wrong_parameter_stops_before_the_first_node(tmp_path: Path) -> None:
    project = _copy_project(tmp_path)
    ended = said_to(project, *[f"kedro run --env demo --params {parameter}" for parameter in WRONG])
    for (status, said), words in zip(ended, WRONG.values(), strict=True):
        assert status != 0
        assert "Traceback" not in said
        message = said[said.index("wrong parameter") :]
        assert all(word in message for word in words), message
    assert not (project / "data").exists()


def test_an_error_of_a_node_is_one_message_and_the_registry_lists_the_pipelines(tmp_path: Path) -> None:
    parameters = f"data_download.datasets=bbbc038,data_download.bbbc038.url={tmp_path}/nowhere.zip"
    (status, said), (listed, pipelines) = said_to(
        _copy_project(tmp_path),
        f"kedro run --env cpu --pipelines data_download --params {parameters}",
        "kedro registry list",
    )
    assert status != 0
    assert "nowhere.zip" in said
    assert "Traceback" not in said
    assert listed == 0, pipelines
    for name in (*STAGES, "stardist", "__default__"):
        assert f"- {name}" in pipelines


@pytest.mark.slow
def test_a_complete_run_is_described_and_leaves_what_kedro_viz_shows_of_it(tmp_path: Path) -> None:
    """`kedro run` of a project with the pipelines of data alone, which take seconds."""
    project = _copy_project(tmp_path)
    registry = project / "src/nucseg/pipeline_registry.py"
    registry.write_text(
        "from nucseg.pipelines import data_download, data_processing\n\n\n"
        "def register_pipelines():\n"
        "    return {'__default__': data_download.create_pipeline() + data_processing.create_pipeline()}\n"
    )
    ((status, said),) = said_to(project, "kedro run --env demo")
    assert status == 0, said
    assert "This run uses the data demo." in said
    assert "deprecated" not in said.lower()
    events = json.loads((project / ".viz/kedro_pipeline_events.json").read_text())
    run_nodes = {event["node"] for event in events if event["event"] == "after_node_run"}
    assert run_nodes == {"download", "convert", "split"}
    assert events[-1]["event"] == "after_pipeline_run"


@pytest.mark.slow
def test_patches_from_an_archive_to_their_own_report(project: Path) -> None:
    """As docs/mitosis.md has it, with crops of eight slides."""
    folder = project / "AMi-Br"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = [",slide,dataset,uid,x,y"]
    with zipfile.ZipFile(folder / "TUPAC16.zip", "w") as archive:
        for number in range(8):
            stream = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (128, 128, 3), np.uint8)).save(stream, "WEBP", lossless=True)
            archive.writestr(f"normal/TUPAC16_{number}.webp", stream.getvalue())
            lines.append(f"{number},{number + 1:02d}.tif,TUPAC16,{number},{100 * number},50")
    (folder / "AMI-BR.csv").write_text("\n".join(lines))
    before = set(_files(project / "data")) if (project / "data").is_dir() else set()
    source = {"patches": {"data_download": {"datasets": "ami_br", "ami_br": {"path": "AMi-Br"}}}}
    run(project, "base", source, pipeline_names=["patches"])
    made = set(_files(project / "data")) - before
    expected = {
        "01_raw/patches_archives.json",
        "03_primary/patches/samples.csv",
        "03_primary/patches/images/ami_br/TUPAC16_0.tif",
        "05_model_input/patches_augmenter.json",
        "05_model_input/patches_augmentation_preview.png",
        "06_models/mitosis/config.json",
        "08_reporting/mitosis/metrics.json",
        "08_reporting/mitosis/classified.csv",
        "08_reporting/patches/report.html",
    }
    assert expected <= made
    assert not [name for name in made if name in ("03_primary/samples.csv", "08_reporting/report.html")]
    metrics = project / "data/08_reporting/mitosis/metrics.json"
    assert json.loads(metrics.read_text())["overall"]["n_cases"] == 2
    metrics.unlink()
    run(project, "base", source, pipeline_names=["mitosis"], tags=["model_validation"])
    assert metrics.is_file()
