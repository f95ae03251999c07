import numpy as np
import pytest

from nucseg.core.errors import InputError
from nucseg.core.types import PatchScores
from nucseg.metrics.patches.config import PatchEvaluationConfig
from nucseg.reporting.config import PatchVisualizationConfig
from nucseg.tasks import patches, shared_names, task_of


@pytest.fixture
def scores():
    places = np.array([(64, 64), (32, 32), (96, 96)])
    return PatchScores((128, 128), places, np.array([0.9, 0.6, 0.1], np.float32), np.array([1, 0, 0]), 0.5)


def test_what_a_model_shares_with_its_task():
    assert task_of("mitosis") is patches
    assert shared_names("mitosis", "samples") == {"samples": "patches.samples"}
    assert shared_names("stardist", "samples") == {"samples": "samples"}


def test_a_record_holds_all_of_it(scores, make_sample):
    record = patches.to_record(make_sample(), scores)
    again = patches.from_record(record)
    for name in ("places", "probabilities", "classes"):
        np.testing.assert_array_equal(getattr(again, name), getattr(scores, name))
    assert (again.shape, again.threshold) == ((128, 128), 0.5)
    with pytest.raises(InputError, match="damaged"):
        patches.from_record({"shape": [1, 2]})


def test_what_is_found(scores, make_sample):
    points = patches.predicted(scores)
    np.testing.assert_array_equal(np.argwhere(points), [(32, 32), (64, 64)])
    (table,) = patches.exports([(make_sample(image_id="a"), scores)])
    assert table.to_dict("list") == {"image": ["drawn/a"] * 2, "row": [64, 32], "column": [64, 32]}


def test_it_is_measured_and_drawn(scores, make_sample):
    sample = make_sample(image_id="a")
    metrics, per_image, classified = patches.evaluate(
        "mine", [(sample, np.array([(64, 64)]), scores)], PatchEvaluationConfig(bootstrap=0)
    )
    assert metrics["overall"]["precision"] == 0.5
    assert per_image["n_false"].tolist() == [1]
    assert classified["probability"].round(3).tolist() == [0.9, 0.6, 0.1]
    image = np.zeros((128, 128, 3), np.uint8)
    picture = patches.draw(image, np.zeros((0, 2)), scores, {}, PatchVisualizationConfig())
    assert picture.width > 2 * picture.height  # three patches side by side
