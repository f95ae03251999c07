from collections.abc import Callable

import numpy as np
import pytest

from nucseg.core.errors import InputError
from nucseg.core.types import PatchScores, Sample
from nucseg.metrics.patches.config import PatchEvaluationConfig
from nucseg.metrics.patches.definitions import METRICS
from nucseg.metrics.patches.evaluator import PatchEvaluator


def scores(
    probabilities: list[float], classes: list[int], shape: tuple[int, int] = (128, 128), places: object = None
) -> PatchScores:
    where = np.zeros((len(classes), 2), np.int64) if places is None else np.array(places)
    return PatchScores(shape, where, np.array(probabilities, np.float32), np.array(classes), 0.5)


@pytest.fixture
def sample(make_sample: Callable) -> Callable[..., Sample]:
    def make(name: str, case: str | None = None, part: str | None = None) -> Sample:
        return make_sample("a.tif", "b.tif", image_id=name, split="test", case=case, test_class=part)

    return make


NOTHING = np.zeros((0, 2), np.int64)


def test_metrics_per_group_with_prevalence(sample: Callable[..., Sample]) -> None:
    evaluator = PatchEvaluator("mine", PatchEvaluationConfig(bootstrap=50))
    evaluator.update(sample("1", "a", "TUPAC16"), NOTHING, scores([0.9, 0.1, 0.2, 0.3], [1, 0, 0, 0]))
    evaluator.update(sample("2", "a", "TUPAC16"), NOTHING, scores([0.2, 0.6], [1, 0]))
    evaluator.update(sample("3", "b", "MIDOG21"), NOTHING, scores([0.8, 0.4], [1, 0]))
    result = evaluator.result()
    overall = result["overall"]
    assert (overall["n_images"], overall["n_cases"], overall["n_patches"], overall["n_true"], overall["n_pred"]) == (
        3,
        2,
        8,
        3,
        3,
    )
    assert overall["prevalence"] == 3 / 8
    assert overall["f1"] == pytest.approx(2 / 3)
    assert overall["f1_low"] <= overall["f1"] <= overall["f1_high"] == 1.0
    tupac = result["by"]["test_class"]["TUPAC16"]
    assert (tupac["n_patches"], tupac["prevalence"], tupac["f1"]) == (6, pytest.approx(1 / 3), 0.5)
    assert "f1_low" not in tupac  # one case
    assert result["by"]["test_class"]["MIDOG21"]["average_precision"] == 1
    assert [row["key"] for row in result["metrics"]] == list(overall)
    assert "n_fields" not in overall
    rows = evaluator.per_image.set_index("image_id")
    assert rows.loc["2", ["n_missed", "n_false"]].tolist() == [1, 1]
    assert rows.loc["2", "agreement"] == pytest.approx(0.2)
    assert evaluator.patches["dataset"].value_counts().to_dict() == {"TUPAC16": 6, "MIDOG21": 2}


def test_the_order_of_the_images_does_not_matter(sample: Callable[..., Sample]) -> None:
    rng = np.random.default_rng(0)
    images = [(sample(str(n), f"case {n % 3}"), scores(rng.random(4).tolist(), [1, 0, 0, 0])) for n in range(9)]
    results = []
    for order in (images, images[::-1]):
        evaluator = PatchEvaluator("mine", PatchEvaluationConfig(bootstrap=20))
        for each, found in order:
            evaluator.update(each, NOTHING, found)
        results.append(evaluator.result())
    assert results[0] == results[1]


def test_whole_cases_are_resampled(sample: Callable[..., Sample]) -> None:
    """With two cases, one all right and one all wrong, a resample has F1 0, 1 or that of both."""
    evaluator = PatchEvaluator("mine", PatchEvaluationConfig(bootstrap=200))
    for number in range(10):
        evaluator.update(sample(f"a{number}", "a"), NOTHING, scores([0.9], [1]))
        evaluator.update(sample(f"b{number}", "b"), NOTHING, scores([0.1], [1]))
    overall = evaluator.result()["overall"]
    assert (overall["f1_low"], overall["f1"], overall["f1_high"]) == (0, pytest.approx(2 / 3), 1)


def test_hits_in_fields(sample: Callable[..., Sample]) -> None:
    evaluator = PatchEvaluator("mine", PatchEvaluationConfig(bootstrap=0))
    places = [(100, 100), (300, 300), (20, 20), (110, 110), (400, 100)]
    # Three dark spots from the threshold on, of which two are one mitosis; one true mitosis is not found.
    found = scores([0.9, 0.3, 0.1, 0.8, 0.7], [1, 1, 0, -1, -1], (600, 512), places)
    evaluator.update(sample("1"), np.array([(105, 100), (300, 300)]), found)
    evaluator.update(sample("2"), NOTHING, scores([0.9], [0]))
    overall = evaluator.result()["overall"]
    assert (overall["n_patches"], overall["n_fields"]) == (4, 1)
    assert (overall["field_precision"], overall["field_recall"], overall["field_f1"]) == (0.5, 0.5, 0.5)


def test_an_image_counts_once(sample: Callable[..., Sample]) -> None:
    evaluator = PatchEvaluator("mine", PatchEvaluationConfig())
    evaluator.update(sample("1"), NOTHING, scores([0.9], [1]))
    with pytest.raises(InputError, match="already evaluated"):
        evaluator.update(sample("1"), NOTHING, scores([0.9], [1]))


def test_every_metric_has_its_row() -> None:
    assert len({row.key for row in METRICS}) == len(METRICS)
