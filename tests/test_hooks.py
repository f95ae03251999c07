import logging
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner

from nucseg.core.errors import InputError
from nucseg.hooks import ModelNames, ReadableErrors, RunSummary, ScoreTable
from nucseg.kedro_datasets import ModelDataset
from nucseg.params import InferenceConfig
from nucseg.pipeline_registry import register_pipelines
from nucseg.pipelines import pseudo_labelling
from nucseg.training.config import NamedModel

SCORES = {"n_true": 24782, "n_pred": 24782, "f1_50": 0.5, "ap_50": 0.5, "ap_mean_50_90": 0.25, "map": 0.5}


class Catalog:
    def load(self, name: str) -> dict[str, Any]:
        return {"model": name.split(".", maxsplit=1)[0], "overall": SCORES, "by": {}}

    def __getitem__(self, name: str) -> Any:
        return SimpleNamespace(_describe=lambda: {"filepath": Path("/a" + 30 * "/long") / "report.html"})


def test_scores_and_path_are_printed_unbroken(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    pipeline: Any = SimpleNamespace(
        all_outputs=lambda: {"report"}, all_inputs=lambda: {"mask_rcnn.metrics", "stardist.metrics"}
    )
    ScoreTable().after_pipeline_run(pipeline, Catalog())  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert "Report: /a" + 30 * "/long" + "/report.html" in lines
    row = ["stardist", "all", "24,782", "24,782", "0.500", "0.500", "0.250", "0.500"]
    assert row in [line.split() for line in lines]


def test_a_run_without_a_report_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline: Any = SimpleNamespace(all_outputs=lambda: {"samples"})
    ScoreTable().after_pipeline_run(pipeline, Catalog())  # type: ignore[arg-type]
    assert capsys.readouterr().out == ""


def test_our_own_error_is_found_in_the_chain() -> None:
    outer = RuntimeError("node failed")
    outer.__cause__ = InputError("a.tif: is no image.")
    with pytest.raises(click.ClickException, match=r"^a\.tif: is no image\.$"):
        ReadableErrors().on_pipeline_error(outer)
    ReadableErrors().on_pipeline_error(RuntimeError("a defect"))


PARAMETERS = {"data_download": {"datasets": ["bbbc038", "demo"]}, "inference": {"model": "mask_rcnn"}}


@pytest.fixture
def describe(
    tmp_path: Path, make_sample: Callable, caplog: pytest.LogCaptureFixture
) -> Callable[[Pipeline, type], list[str]]:
    """Return what is logged before a pipeline runs."""
    samples = [
        make_sample("a.tif", "b.tif", image_id=str(number), dataset=name) for number, name in enumerate(("b", "a", "b"))
    ]
    kept = {"parameters": PARAMETERS, "archives": {"own": "images"}, "samples": samples}
    catalog: Any = DataCatalog({name: MemoryDataset(value) for name, value in kept.items()})
    for model in ("stardist", "mask_rcnn"):
        catalog[f"{model}.model"] = ModelDataset(filepath=str(tmp_path / model))
    catalog["inference_images"] = ModelDataset(filepath="new")

    def _describe(pipeline: Pipeline, runner: type = SequentialRunner) -> list[str]:
        with caplog.at_level(logging.INFO, "nucseg.hooks"):
            RunSummary().before_pipeline_run({"runner": str(runner())}, pipeline, catalog)
        return caplog.messages

    return _describe


@pytest.mark.parametrize(
    "name, said",
    [
        ("data_download", "the data bbbc038, demo"),
        ("data_processing", "the data own"),
        ("data_augmentations", "the data a (1 images), b (2 images)"),
        ("stardist", "the data bbbc038, demo; the model stardist, to be trained"),
        ("inference", "the images in new; the model mask_rcnn"),
    ],
)
def test_a_run_names_its_data_and_models(describe: Callable, name: str, said: str) -> None:
    assert describe(register_pipelines()[name]) == [f"This run uses {said}."]


def test_parameters_may_be_typed_already(describe: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kedro puts the typed parameters of nodes in the place of plain ones."""
    monkeypatch.setitem(PARAMETERS, "inference", InferenceConfig(model="mask_rcnn"))
    assert describe(register_pipelines()["inference"]) == ["This run uses the images in new; the model mask_rcnn."]


def test_a_model_that_is_only_read_is_named_with_its_folder(describe: Callable, tmp_path: Path) -> None:
    pipeline = register_pipelines()["stardist"].only_nodes_with_tags("model_validation")
    expected = f"the data a (1 images), b (2 images); the model stardist in {tmp_path / 'stardist'}"
    assert describe(pipeline) == [f"This run uses {expected}."]


def test_two_models_do_not_run_at_the_same_time(describe: Callable) -> None:
    pipelines = register_pipelines()
    with pytest.raises(click.ClickException, match=r"mask_rcnn and stardist cannot run at the same time.*--pipelines"):
        describe(pipelines["model_evaluation"], ThreadRunner)
    with pytest.raises(click.ClickException, match="ParallelRunner would load TensorFlow"):
        describe(pipelines["data_processing"], ParallelRunner)
    assert describe(pipelines["stardist"], ThreadRunner)
    describe(pipelines["results_visualization"], ThreadRunner)
    describe(pipelines["model_evaluation"], lambda: None)  # `KedroSession.run()`: Kedro's own choice, one after another


def test_rounds_replace_no_model(tmp_path: Path) -> None:
    """Kedro has put the typed parameters, which the node takes as a whole, in the place of plain ones."""
    pipeline, catalog = pseudo_labelling.create_pipeline(), DataCatalog()
    catalog["pseudo_labelling.model"] = ModelDataset(filepath=str(tmp_path / "pseudo_labelling"))
    catalog["mine.model"] = ModelDataset(filepath=str(tmp_path / "mine"))
    catalog["mine.rounds"] = MemoryDataset("of mine")
    catalog["parameters"] = MemoryDataset({"pseudo_labelling": NamedModel(name="mine")}, copy_mode="assign")
    ModelNames().before_pipeline_run(pipeline, catalog)
    assert Path(catalog["pseudo_labelling.model"]._describe()["filepath"]) == tmp_path / "mine"
    assert catalog.load("pseudo_labelling.rounds") == "of mine"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.json").write_text("{}")
    with pytest.raises(click.ClickException, match="name is 'mine': there is such a model already"):
        ModelNames().before_pipeline_run(pipeline, catalog)
    catalog["parameters"] = MemoryDataset({"pseudo_labelling": NamedModel(name="mine", replace=True)})
    ModelNames().before_pipeline_run(pipeline, catalog)


def test_a_run_says_which_model_it_does_not_take(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A training without a name is called by its date; what runs afterwards takes the shipped model unless told."""
    pipeline = register_pipelines()["stardist"].only_nodes_with_tags("model_validation")
    for number, name in enumerate(("stardist-2026-01-02", "stardist-2026-01-02-2", "stardist-mine")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        os.utime(tmp_path / name / "config.json", (number, number))

    def warnings(**section: str) -> list[str]:
        catalog: Any = DataCatalog({"parameters": MemoryDataset({"stardist": section})})
        for dataset in pipeline.datasets():
            kind, _, part = dataset.partition(".")
            for name in ("stardist", "mine") if kind == "stardist" else ():
                catalog[f"{name}.{part}"] = ModelDataset(filepath=str(tmp_path / name))
        caplog.clear()
        ModelNames().before_pipeline_run(pipeline, catalog)
        return [record.getMessage() for record in caplog.records if record.name == "nucseg.hooks"]

    assert warnings() == [
        "stardist.name is not set, so this run takes the model stardist; for the one trained last: "
        "--params stardist.name=stardist-2026-01-02-2."
    ]
    assert warnings(name="mine") == []
