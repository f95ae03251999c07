"""The pipelines of patch classification, from annotated points to the report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nucseg.core.errors import ConfigError
from nucseg.core.types import Sample
from nucseg.datasets.config import ProcessingConfig
from nucseg.datasets.points import draw_points
from nucseg.images.io import write_image, write_labels
from nucseg.pipeline_registry import register_pipelines
from nucseg.pipelines import model_evaluation, model_training, results_visualization
from nucseg.training.config import TrainingConfig

TRAINING = {
    "patch_size": 32,
    "batch_size": 8,
    "steps_per_epoch": 12,
    "epochs": 2,
    "learning_rate": 0.01,
    "validation_patches": 16,
    "workers": 1,
}


@pytest.fixture
def crops(tmp_path: Path, make_sample: Callable[..., Sample]) -> list[Sample]:
    """Crops with a black spot in the middle, the mitosis, and a blue one aside."""
    rng = np.random.default_rng(0)
    samples = []
    for number, split in enumerate(["train"] * 4 + ["val"] * 2 + ["test"] * 2):
        image = rng.integers(200, 240, (128, 128, 3)).astype(np.uint8)
        image[58:70, 58:70] = 10
        for row, column in ((20, 20), (100, 24), (24, 100)):
            image[row - 5 : row + 6, column - 5 : column + 6] = (60, 60, 200)
        files = tmp_path / f"images/{number}.tif", tmp_path / f"labels/{number}.tif"
        write_image(files[0], image)
        write_labels(files[1], draw_points((128, 128), np.array([64]), np.array([64])))
        facts = {
            "image_id": str(number),
            "split": split,
            "modality": "histology",
            "case": f"case {number}",
            "channels": 3,
        }
        samples.append(make_sample(*files, **facts, n_nuclei=None, height=128, width=128))
    return samples


def test_from_points_to_the_report(run: Callable, crops: list[Sample], tmp_path: Path) -> None:
    from nucseg.augment.augmenter import Augmenter
    from nucseg.augment.config import AugmentationConfig, Flip

    section: dict[str, Any] = {
        "patches.samples": crops,
        "patches.augmenter": Augmenter.from_config(AugmentationConfig(transforms=(Flip(),))).to_dict(),
        "params:patches.data_preprocessing": ProcessingConfig.model_validate({"transforms": []}),
        "params:patches.model_evaluation": {"bootstrap": 10},
        "params:patches.results_visualization": {"worst": 1},
        "params:mitosis.architecture": {"network": "small", "patch_size": 32},
        "params:mitosis.sampling": {"shift": 2, "distance": 30, "hard_share": 0.3},
        "params:mitosis.training": TRAINING,
        "mitosis.training_folder": tmp_path / "run",
    }

    def inputs(pipeline: Any, made: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in (section | made).items() if name in pipeline.inputs()}

    training = model_training.create_pipeline("mitosis")
    with pytest.raises(ConfigError, match="patch_size: 64 is not allowed with this model, which takes patches of 32"):
        run(
            training, inputs(training, {"params:mitosis.training": TrainingConfig(patch_size=64, validation_patches=1)})
        )
    section["params:mitosis.training"] = TrainingConfig.model_validate(TRAINING)
    made = run(training, inputs(training, {}))
    bundle = made["mitosis.model"]
    assert list(made["mitosis.mined"].columns) == ["key", "row", "column", "probability"]
    # The first model is final where it mistook nothing.
    assert (made["mitosis.retrained"] is made["mitosis.trained"]) == made["mitosis.mined"].empty
    assert bundle.run.parameters.sampling["distance"] == 30
    assert set(bundle.model.thresholds) == {"probability", "temperature"}
    assert bundle.run.validation.scores["overall"]["n_patches"] == 2 * 4

    evaluation = model_evaluation.create_pipeline("mitosis")
    made |= run(evaluation, inputs(evaluation, made), ("mitosis.predicted_labels", "mitosis.candidates"))
    overall = made["mitosis.metrics"]["overall"]
    assert (overall["n_images"], overall["n_patches"], overall["prevalence"]) == (2, 8, 0.25)
    assert len(made["mitosis.classified"]) == 8
    assert made["mitosis.per_image"]["case"].tolist() == ["case 6", "case 7"]

    page = results_visualization.create_pipeline(["mitosis"])
    made |= run(page, inputs(page, made), ("mitosis.overlays", "patches.differences"))
    assert "<h1>Patches classified by mitosis</h1>" in made["patches.report"]
    assert "worst" in made["patches.report"]


def test_the_names_of_the_pipelines() -> None:
    pipelines = register_pipelines()
    assert {"patches", "mitosis"} <= set(pipelines)
    nuclei = {name for name in pipelines["__default__"].datasets() if "patches." in name or name.startswith("mitosis")}
    assert not nuclei
    assert {"patches.samples", "patches.report", "mitosis.metrics"} <= pipelines["patches"].all_outputs()
    assert "report" not in pipelines["patches"].all_outputs()
    assert "raw_folder" in pipelines["patches"].inputs()
