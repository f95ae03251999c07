"""The pipelines of semantic segmentation, from class maps to the report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nucseg.core.errors import InputError
from nucseg.core.types import VOID, Sample
from nucseg.datasets.config import ProcessingConfig
from nucseg.images.io import write_image, write_labels
from nucseg.images.transforms import parse_transforms
from nucseg.pipeline_registry import register_pipelines
from nucseg.pipelines import model_evaluation, model_training, results_visualization
from nucseg.training.config import TrainingConfig

TRAINING = {
    "patch_size": 32,
    "batch_size": 2,
    "steps_per_epoch": 3,
    "epochs": 1,
    "learning_rate": 0.003,
    "validation_patches": 2,
    "workers": 1,
}


@pytest.fixture
def maps(tmp_path: Path, make_sample: Callable[..., Sample]) -> list[Sample]:
    """Bright squares on grey, with a void border at the right."""
    rng = np.random.default_rng(0)
    samples = []
    for number, split in enumerate(["train", "train", "val", "test", "test"]):
        classes = np.zeros((40, 52), np.uint8)
        top, left = rng.integers(2, 20, 2)
        classes[top : top + 15, left : left + 15] = 1
        image = np.where(classes == 1, 200, 60) + rng.integers(0, 20, classes.shape)
        classes[:, 48:] = VOID
        files = tmp_path / f"images/{number}.tif", tmp_path / f"labels/{number}.tif"
        write_image(files[0], image.astype(np.uint8))
        write_labels(files[1], classes)
        facts = {"image_id": str(number), "split": split, "height": 40, "width": 52}
        samples.append(make_sample(*files, **facts, n_nuclei=None, median_diameter_px=None))
    return samples


def test_from_class_maps_to_the_report(run: Callable, maps: list[Sample], tmp_path: Path) -> None:
    from nucseg.augment.augmenter import Augmenter
    from nucseg.augment.config import AugmentationConfig, Flip

    transforms = [{"name": "normalize"}]
    section: dict[str, Any] = {
        "semantic.samples": maps,
        "semantic.augmenter": Augmenter.from_config(AugmentationConfig(transforms=(Flip(),))).to_dict(),
        "params:semantic.data_preprocessing": ProcessingConfig(
            transforms=parse_transforms(transforms), classes=("background", "mark")
        ),
        "params:semantic.model_evaluation": {"bootstrap": 10},
        "params:semantic.results_visualization": {"worst": 1, "best": 0, "median": 0},
        "params:unet.architecture": {
            "in_channels": 1,
            "classes": ["background", "mark"],
            "decoder_filters": [8, 8, 8, 8],
        },
        "params:unet.sampling": {"class_probability": 0.5},
        "params:unet.training": TrainingConfig.model_validate(TRAINING),
        "unet.training_folder": tmp_path / "run",
    }

    def inputs(pipeline: Any, made: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in (section | made).items() if name in pipeline.inputs()}

    training = model_training.create_pipeline("unet")
    made = run(training, inputs(training, {}))
    bundle = made["unet.model"]
    assert bundle.model.thresholds == {}
    assert bundle.run.validation.scores["overall"]["n_images"] == 1
    again = run(training, inputs(training, {}))["unet.model"]  # it is complete: nothing is trained
    assert again.run.history == bundle.run.history

    evaluation = model_evaluation.create_pipeline("unet")
    made |= run(evaluation, inputs(evaluation, made), ("unet.predicted_labels", "unet.candidates"))
    overall = made["unet.metrics"]["overall"]
    assert (overall["n_images"], overall["n_pixels"], overall["n_true"]) == (2, 2 * 40 * 48, 2)
    assert made["unet.confusion"]["pixels"].sum() == overall["n_pixels"]
    assert made["unet.areas"].groupby("image")["pixels"].sum().tolist() == [40 * 52] * 2

    page = results_visualization.create_pipeline(["unet"])
    made |= run(page, inputs(page, made), ("unet.overlays", "semantic.differences"))
    report = made["semantic.report"]
    assert "<h1>Pixels classified by unet</h1>" in report
    assert "Confusion matrix" in report

    section["params:unet.architecture"] |= {"classes": ["a", "b", "c"]}
    section["semantic.samples"] = [sample for sample in maps if sample.split != "test"]
    evaluation_of_none = model_evaluation.create_pipeline("unet")
    with pytest.raises(InputError, match="nothing to evaluate"):
        run(evaluation_of_none, inputs(evaluation_of_none, made), ("unet.predicted_labels", "unet.candidates"))


def test_the_names_of_the_pipelines() -> None:
    pipelines = register_pipelines()
    assert {"semantic", "unet"} <= set(pipelines)
    assert not {name for name in pipelines["__default__"].datasets() if name.startswith(("semantic.", "unet."))}
    assert {"semantic.samples", "semantic.report", "unet.metrics"} <= pipelines["semantic"].all_outputs()
    assert "raw_folder" in pipelines["semantic"].inputs()
