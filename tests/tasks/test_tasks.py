from collections.abc import Callable

import numpy as np
import pytest

from nucseg.core.types import Instances
from nucseg.models.registry import MODELS
from nucseg.params import EvaluationConfig
from nucseg.reporting.html import ModelReport
from nucseg.tasks import TASKS, instances, task_of


def test_every_model_has_its_task() -> None:
    assert {entry.task for entry in MODELS.values() if entry.name} == set(TASKS)
    assert task_of("mask_rcnn") is instances


@pytest.mark.parametrize("name", TASKS)
def test_the_tables_of_a_task_have_their_place_in_the_report(name: str) -> None:
    assert set(TASKS[name].TABLES) <= set(ModelReport.__dataclass_fields__)


def test_instances_below_the_threshold_are_candidates_alone(draw_nuclei: Callable, make_sample: Callable) -> None:
    """The truth with one nucleus below the threshold: `map` and coco.json know it, everything else does not."""
    _, truth = draw_nuclei((64, 80), n=5, seed=1)
    sample = make_sample("a.tif", "b.tif", image_id="a", split="test")
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.2], np.float32)
    prediction = instances.from_record(instances.to_record(sample, (Instances(truth, scores), 0.5)))

    metrics, per_image, sizes = instances.evaluate("mine", [(sample, truth, prediction)], EvaluationConfig())
    overall = metrics["overall"]
    assert (metrics["model"], overall["n_true"], overall["n_pred"], overall["recall_50"]) == ("mine", 5, 4, 0.8)
    assert overall["map"] == 1
    assert per_image["n_missed"].tolist() == [1]
    assert sizes["source"].value_counts().to_dict() == {"truth": 5, "predicted": 4}
    assert np.array_equal(instances.predicted(prediction), np.where(truth == 5, 0, truth))
    submission, coco = instances.exports([(sample, prediction)])
    assert (len(submission), len(coco)) == (4, 5)
