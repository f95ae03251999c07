from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_coco_eval import mask as coco_mask
from PIL import Image

from nucseg.core.errors import InputError
from nucseg.core.types import Sample
from nucseg.datasets.config import ProcessingConfig
from nucseg.images.io import read_labels
from nucseg.masks.rle import coco_encode
from nucseg.models.run import RunRecord
from nucseg.params import EvaluationConfig
from nucseg.pipelines import model_evaluation, model_training, results_visualization
from nucseg.reporting.config import VisualizationConfig
from nucseg.reporting.html import Differences
from nucseg.training.config import SamplingConfig, TrainingConfig

TRAINING = {"patch_size": 32, "batch_size": 2, "steps_per_epoch": 2, "epochs": 2, "validation_patches": 2, "workers": 1}


def _perfect_candidates(samples: list[Sample]) -> dict[str, Callable[[], dict[str, Any]]]:
    """The truth as a prediction of score 0.9."""

    def record(sample: Sample) -> dict[str, Any]:
        labels = read_labels(sample.label_path)
        return {
            "image_id": sample.image_id,
            "dataset": sample.dataset,
            "size": list(labels.shape),
            "score_threshold": 0.5,
            "scores": [0.9] * int(labels.max()),
            "masks": coco_encode(labels),
        }

    return {sample.key: (lambda sample=sample: record(sample)) for sample in samples if sample.split == "test"}


def _train(run: Callable, samples: list, folder: Path, architecture: dict[str, Any], kind: str = "stardist") -> Any:
    from nucseg.augment.augmenter import Augmenter
    from nucseg.augment.config import AugmentationConfig

    made = run(
        model_training.create_pipeline(kind),
        {
            "samples": samples,
            "augmenter": Augmenter.from_config(AugmentationConfig(transforms=())).to_dict(),
            "params:data_preprocessing": ProcessingConfig.model_validate({"transforms": [{"name": "normalize"}]}),
            f"params:{kind}.architecture": architecture,
            f"params:{kind}.sampling": SamplingConfig(),
            f"params:{kind}.training": TrainingConfig.model_validate(TRAINING),
            f"{kind}.training_folder": folder,
        },
    )
    return made[f"{kind}.model"]


@pytest.mark.parametrize("kind", ["stardist", "mask_rcnn"])
def test_training_gives_a_tuned_model_with_its_lineage(
    run: Callable, samples: list, architectures: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    model = _train(run, samples, tmp_path, architectures[kind], kind)
    assert model.model.in_channels == 1
    assert [transform.name for transform in model.transforms] == ["normalize"]
    assert len(model.run.history) == 2
    assert "thresholds" in model.run.content()["validation"]
    assert any(tmp_path.rglob("events.out.tfevents*"))


def test_without_fine_tuning_a_pretrained_model_stays_as_it_is(
    run: Callable, samples: list, model: Any, architectures: dict[str, Any], tmp_path: Path
) -> None:
    model.save(tmp_path / "pretrained")
    kept = {**architectures["stardist"], "pretrained": str(tmp_path / "pretrained"), "fine_tune": False}
    made = _train(run, samples, tmp_path / "run", kept)
    weights = (each.model.network.get_weights() for each in (made, model))
    for found, expected in zip(*weights, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert made.run.history == []
    assert made.run.parameters.training is None
    assert made.run.parameters.model["fine_tune"] is False
    assert "thresholds" in made.run.content()["validation"]
    assert not (tmp_path / "run").exists()


def test_evaluation_streams_the_test_split(run: Callable, samples: list, model: Any) -> None:
    made = run(
        model_evaluation.create_pipeline("stardist"),
        {"stardist.model": model, "samples": samples, "params:model_evaluation": EvaluationConfig()},
        collected=("stardist.predicted_labels", "stardist.candidates"),
    )
    assert set(made["stardist.predicted_labels"]) == {"drawn/image3", "drawn/image4"}
    assert made["stardist.metrics"]["model"] == "stardist"
    assert made["stardist.metrics"]["overall"]["n_true"] == 6
    assert made["stardist.run"] == {"model": "stardist", "seed": 0}


@pytest.mark.parametrize("trained_on, said", [(["drawn/image0", "drawn/image3"], True), (["drawn/image0"], False)])
def test_a_model_that_saw_test_images_is_named(
    run: Callable, samples: list, model: Any, caplog: pytest.LogCaptureFixture, trained_on: list[str], said: bool
) -> None:
    run(
        model_evaluation.create_pipeline("stardist"),
        {
            "stardist.model": replace(model, run=RunRecord(splits={"train": trained_on})),
            "samples": samples,
            "params:model_evaluation": EvaluationConfig(),
        },
        collected=("stardist.predicted_labels", "stardist.candidates"),
    )
    assert ("1 of the 2 test images, such as drawn/image3, were used to train" in caplog.text) == said


def _score(run: Callable, samples: list[Sample]) -> dict[str, Any]:
    pipeline = model_evaluation.create_pipeline("stardist").only_nodes("stardist.score", "stardist.export")
    return run(
        pipeline,
        {
            "stardist.candidates": _perfect_candidates(samples),
            "samples": samples,
            "params:model_evaluation": EvaluationConfig(),
            "stardist.run": {"model": "stardist"},
        },
    )


def test_the_truth_as_prediction_scores_1(run: Callable, samples: list) -> None:
    made = _score(run, samples)
    overall = made["stardist.metrics"]["overall"]
    assert (overall["n_images"], overall["n_true"], overall["n_pred"]) == (2, 6, 6)
    assert {key: overall[key] for key in ("f1_50", "ap_95", "map", "dsb2018_score", "dice", "pq")} == dict.fromkeys(
        ("f1_50", "ap_95", "map", "dsb2018_score", "dice", "pq"), 1.0
    )
    assert made["stardist.per_image"]["image_id"].tolist() == ["image3", "image4"]
    sizes = made["stardist.sizes"]
    assert (sizes["source"] == "truth").sum() == (sizes["source"] == "predicted").sum() == 6


def test_an_empty_test_split_is_refused(run: Callable, samples: list) -> None:
    with pytest.raises(InputError, match=r"no image is in the test split.*data_preprocessing\.split\.test"):
        _score(run, [sample for sample in samples if sample.split != "test"])


def test_exports_hold_the_nuclei_and_the_empty_image(run: Callable, samples: list) -> None:
    made = _score(run, samples)
    truth = read_labels(samples[3].label_path)
    assert [entry["image_id"] for entry in made["stardist.coco"]] == ["drawn/image3"] * 6
    masks = [coco_mask.decode(entry["segmentation"]).astype(bool) for entry in made["stardist.coco"]]
    assert np.array_equal(np.sum(masks, axis=0), truth > 0)
    submission = made["stardist.submission"]
    assert submission["ImageId"].tolist() == ["image3"] * 6 + ["image4"]
    assert submission["EncodedPixels"].iloc[-1] == ""
    lengths = sum(int(length) for mask in submission["EncodedPixels"] for length in mask.split()[1::2])
    assert lengths == (truth > 0).sum()


@pytest.mark.parametrize("images", [[], ["image4"]])
def test_visualization_draws_the_chosen_images(run: Callable, samples: list, images: list[str]) -> None:
    scored = _score(run, samples)
    made = run(
        results_visualization.create_pipeline(["stardist"]).only_nodes("stardist.draw_overlays"),
        {
            "stardist.candidates": _perfect_candidates(samples),
            "samples": samples,
            "stardist.per_image": scored["stardist.per_image"],
            "params:results_visualization": VisualizationConfig(images=images),
        },
        collected=("stardist.overlays",),
    )
    drawn = made["stardist.overlays"]
    assert set(drawn) == ({"drawn/image4"} if images else {"drawn/image3", "drawn/image4"})
    assert all(isinstance(picture(), Image.Image) for picture in drawn.values())
    page = run(
        results_visualization.create_pipeline(["stardist"]).only_nodes("stardist.collect_section", "write_report"),
        {
            "params:results_visualization": VisualizationConfig(images=images),
            "samples": samples,
            **{f"stardist.{name}": scored[f"stardist.{name}"] for name in ("metrics", "per_image", "sizes")},
            "stardist.candidates": _perfect_candidates(samples),
            "stardist.run": {"model": "stardist", "seed": 1},
            "stardist.overlays": drawn,
            "compared": Differences(),
        },
    )["report"]
    assert page.startswith("<!DOCTYPE html>")
    assert all(key in page for key in drawn)


def test_two_models_are_drawn_where_they_differ(run: Callable, samples: list) -> None:
    """The second model finds nothing: it differs on the image with nuclei."""
    parts: dict[str, Any] = {}
    for model in ("stardist", "mask_rcnn"):
        candidates = _perfect_candidates(samples)
        if model == "mask_rcnn":
            record = candidates["drawn/image3"]() | {"scores": [0.1] * 6}
            candidates["drawn/image3"] = lambda record=record: record
        made = run(
            model_evaluation.create_pipeline(model).only_nodes(f"{model}.score"),
            {
                f"{model}.candidates": candidates,
                "samples": samples,
                "params:model_evaluation": EvaluationConfig(),
                f"{model}.run": {"model": model},
            },
        )
        parts |= made | {f"{model}.candidates": candidates, f"{model}.run": {"model": model}}
    made = run(
        results_visualization.create_pipeline(["stardist", "mask_rcnn"]),
        {"params:results_visualization": VisualizationConfig(), "samples": samples, **parts},
        collected=("stardist.overlays", "mask_rcnn.overlays"),
    )
    assert set(made["differences"]) == {"stardist/drawn/image3", "mask_rcnn/drawn/image3"}
    assert "ap_mean_50_90 differs by 1.00" in made["report"]
