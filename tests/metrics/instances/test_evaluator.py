import json
import math
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucseg.core.errors import InputError
from nucseg.core.types import Instances, Sample
from nucseg.metrics.instances.config import MetricsConfig
from nucseg.metrics.instances.evaluator import Evaluator

NUCLEUS = np.pad(np.ones((6, 6), np.int32), 1)


def sample(image_id="a", dataset="bbbc038", modality="fluorescence", test_class=None):
    return Sample(
        image_id, dataset, "test", modality, None, test_class, 8, 8, 1, 1, 6.0, Path("image.tif"), Path("label.tif")
    )


def instances(labels, scores=None):
    labels = np.asarray(labels, np.int32)
    return Instances(labels, np.asarray(np.ones(labels.max()) if scores is None else scores, np.float32))


def grid(rows, columns):
    """Nuclei of 6 by 6 pixels, two apart; the outermost do not touch the border."""
    return np.kron(np.arange(1, rows * columns + 1, dtype=np.int32).reshape(rows, columns), NUCLEUS)


def evaluate(truth, candidates, score_threshold=0.5):
    evaluator = Evaluator("stardist")
    row = evaluator.update(sample(), truth, candidates, score_threshold)
    result = evaluator.result()
    json.dumps([result, row], allow_nan=False)
    return result["overall"], row


def random_part(n_images, seed):
    """Images of random nuclei, candidates with few different scores, over several groups."""
    rng = np.random.default_rng(seed)
    for i in range(n_images):
        truth = np.sort(rng.integers(0, 5, (4, 12)), axis=1)
        pred = np.where(rng.random(truth.shape) < 0.3, rng.integers(0, 5, truth.shape), truth)
        pred = np.unique(np.append(pred, 0), return_inverse=True)[1][:-1].reshape(truth.shape)
        facts = sample(str(i), rng.choice(["bbbc038", "s_bsst265"]), "histology", rng.choice([None, "GNB-I", "TS"]))
        yield facts, truth, instances(pred, rng.choice([0.1, 0.4, 0.7], pred.max()))


@pytest.mark.parametrize("shape", [(1, 1), (7, 9)])
def test_no_nuclei_and_no_prediction(shape):
    overall, row = evaluate(np.zeros(shape, np.int32), Instances.none(shape))
    assert overall["n_images"] == 1
    assert overall["n_true"] == overall["n_pred"] == 0
    assert overall["dsb2018_score"] == overall["ap_mean_50_90_per_image"] == 1
    pooled = overall.keys() - {"n_images", "n_true", "n_pred", "dsb2018_score", "ap_mean_50_90_per_image"}
    assert all(overall[key] is None for key in pooled)
    assert row["dsb2018_score"] == row["f1_50"] == row["aji"] == row["pq"] == row["dice"] == 1
    assert row["iou"] is None


def test_no_nuclei():
    overall, row = evaluate(np.zeros((8, 8), np.int32), instances(NUCLEUS))
    assert overall["dsb2018_score"] == overall["ap_50"] == overall["precision_50"] == overall["aji"] == 0
    assert overall["recall_50"] is overall["map"] is overall["iou"] is None
    assert (row["fp_50"], row["n_extra"]) == (1, 1)


def test_no_prediction():
    overall, row = evaluate(NUCLEUS, Instances.none(NUCLEUS.shape))
    assert overall["dsb2018_score"] == overall["recall_50"] == overall["map"] == overall["dice"] == 0
    assert overall["precision_50"] is overall["iou"] is None
    assert (row["fn_50"], row["n_missed"]) == (1, 1)


def test_all_merged_into_one():
    truth = grid(5, 5)
    overall, row = evaluate(truth, instances(truth > 0))
    assert overall["f1_50"] == overall["map"] == overall["pq"] == 0
    assert overall["dice"] == 1  # which is why Dice alone says nothing about nuclei
    assert overall["aji"] == pytest.approx(1 / 25)
    assert (row["n_merged"], row["n_missed"], row["n_extra"], row["fn_50"]) == (1, 0, 0, 25)


def test_a_thousand_nuclei_found_are_perfect():
    truth = grid(25, 40)
    overall, row = evaluate(truth, instances(truth, np.linspace(0.6, 1, 1000)))
    assert (overall["n_images"], overall["n_true"], overall["n_pred"]) == (1, 1000, 1000)
    assert all(value == pytest.approx(1) for key, value in overall.items() if not key.startswith("n_"))
    assert (row["tp_50"], row["fp_50"], row["fn_50"]) == (1000, 0, 0)


def test_nuclei_that_touch_the_border_and_each_other():
    truth = np.repeat(np.repeat(np.arange(1, 5).reshape(2, 2), 5, axis=0), 5, axis=1)  # no background at all
    overall, _ = evaluate(truth, instances(truth))
    assert overall["map"] == overall["aji"] == overall["dice"] == 1
    shifted = np.roll(truth, 1, axis=1)  # one column of each nucleus goes to its neighbour: IoU 4 / 6
    assert evaluate(truth, instances(shifted))[0]["iou"] == pytest.approx(4 / 6)


def test_true_labels_with_gaps_score_the_same():
    truth = grid(3, 3)
    pred = instances(np.roll(truth, 1, axis=0))
    gaps = np.array([0, 5, 7, 70_000, 3, 2, 2**31 - 1, 900, 901, 12])[truth]
    assert evaluate(gaps, pred) == evaluate(truth, pred)


def test_more_labels_than_16_bits_count():
    truth = np.arange(1, 90_001, dtype=np.int32).reshape(300, 300)
    overall, _ = evaluate(truth, instances(truth))
    assert overall["n_pred"] == 90_000
    assert overall["map"] == overall["dsb2018_score"] == overall["aji"] == 1
    # Modulo 65,536 these labels would be the same.
    half = truth + np.where(truth > 45_000, 65_536 - 45_000, 0)
    overall, _ = evaluate(half, instances(truth))
    assert overall["f1_50"] == 1


def test_candidates_below_the_threshold_count_for_map_only():
    truth = grid(1, 2)
    overall, row = evaluate(truth, instances(truth, [0.9, 0.2]), score_threshold=0.5)
    assert overall["n_pred"] == row["n_pred"] == 1
    assert overall["recall_50"] == 0.5
    assert overall["map"] == 1
    assert evaluate(truth, instances(truth, [0.9, 0.2]), score_threshold=0.2)[0]["recall_50"] == 1


def test_per_image_means_and_pooled_scores_differ():
    evaluator = Evaluator("stardist")
    evaluator.update(sample("crowded"), grid(1, 9), instances(grid(1, 9)), 0.5)
    evaluator.update(sample("missed"), NUCLEUS, Instances.none(NUCLEUS.shape), 0.5)
    evaluator.update(sample("empty"), np.zeros((8, 8), int), Instances.none((8, 8)), 0.5)
    overall = evaluator.result()["overall"]
    assert overall["ap_50"] == overall["ap_mean_50_90"] == pytest.approx(0.9)
    assert overall["ap_mean_50_90_per_image"] == overall["dsb2018_score"] == pytest.approx(2 / 3)
    assert [row["dsb2018_score"] for row in evaluator.per_image] == [1, 0, 1]


def test_groups():
    evaluator = Evaluator("stardist")
    perfect, nothing = instances(NUCLEUS), Instances.none(NUCLEUS.shape)
    evaluator.update(sample("1", "s_bsst265", "fluorescence", "TS"), NUCLEUS, perfect, 0.5)
    evaluator.update(sample("2", "s_bsst265", "fluorescence", "GNB-I"), NUCLEUS, nothing, 0.5)
    evaluator.update(sample("2", "bbbc038", "histology"), NUCLEUS, nothing, 0.5)  # an id is unique within its dataset
    result = evaluator.result()
    assert list(result) == ["model", "n_images", "overall", "by", "metrics", "recall_by_diameter"]
    assert (result["model"], result["n_images"]) == ("stardist", 3)
    recalls = {by: {name: g["recall_50"] for name, g in groups.items()} for by, groups in result["by"].items()}
    assert recalls == {
        "dataset": {"bbbc038": 0, "s_bsst265": 0.5},
        "modality": {"fluorescence": 0.5, "histology": 0},
        "size": {"0-16 px": pytest.approx(1 / 3)},
        "test_class": {"GNB-I": 0, "TS": 1},
    }
    of_one = {key for key in result["overall"] if not key.endswith(("_low", "_high"))}
    assert result["by"]["test_class"]["TS"].keys() == of_one  # no interval of one image
    assert [row["key"] for row in result["metrics"]] == list(result["overall"])
    assert result["overall"]["map"] == pytest.approx(34 / 101)  # recall 1/3 at precision 1


def test_before_the_first_image():
    result = Evaluator("stardist").result()
    assert result["by"] == {"dataset": {}, "modality": {}, "size": {}, "test_class": {}}
    assert result["overall"].pop("n_images") == result["overall"].pop("n_true") == result["overall"].pop("n_pred") == 0
    assert set(result["overall"].values()) == {None}


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_every_number_is_in_its_range(n_images, seed):
    evaluator = Evaluator("m")
    for image in random_part(n_images, seed):
        evaluator.update(*image, score_threshold=0.4)
    overall = evaluator.result()["overall"]
    for key, value in overall.items():
        assert key.startswith("n_") or value is None or 0 <= value <= 1
        assert value is None or math.isfinite(value)
    assert overall["n_images"] == n_images


def test_an_image_is_not_kept():
    evaluator = Evaluator("m")
    truth = np.kron(grid(2, 2), np.ones((64, 64), np.int32))  # 1024 by 1024 pixels
    evaluator.update(sample(), truth, instances(truth), 0.5)
    assert len(pickle.dumps(evaluator)) < 5000


def test_the_arrays_given_stay_as_they_are_and_may_be_reused():
    labels = grid(1, 2)
    truth, candidates = np.where(labels == 2, 2, 0), instances(labels, [0.9, 0.6])  # the better score is wrong
    evaluator = Evaluator("m")
    evaluator.update(sample(), truth, candidates, 0.5)
    np.testing.assert_array_equal(truth, np.where(labels == 2, 2, 0))
    np.testing.assert_array_equal(candidates.scores, np.array([0.9, 0.6], np.float32))
    before = evaluator.result()
    truth[:], candidates.labels[:], candidates.scores[:] = 0, 0, [0.6, 0.9]
    assert evaluator.result() == before


def test_only_what_the_config_names():
    config = MetricsConfig.model_validate({"metrics": ["ap", "ap_mean_50_90_per_image"], "thresholds": [0.5]})
    evaluator = Evaluator("m", config)
    row = evaluator.update(sample(), NUCLEUS, instances(NUCLEUS), 0.5)
    overall = {"n_images": 1, "n_true": 1, "n_pred": 1, "ap_50": 1, "ap_mean_50_90_per_image": 1}
    assert evaluator.result()["overall"] == overall
    assert [row["key"] for row in evaluator.result()["metrics"]] == list(overall)
    assert [key for key in row if "ap_" in key] == ["ap_50", "ap_mean_50_90"]
    assert "aji" not in row


@pytest.mark.parametrize(
    "truth, candidates, message",
    [
        (np.zeros((8, 9), int), instances(NUCLEUS), r"bbbc038/a: .*\(8, 8\).*\(8, 9\)"),
        (NUCLEUS, instances(NUCLEUS, [0.5, 0.5]), "bbbc038/a: the prediction has 2 scores and 1 labels"),
        (NUCLEUS, instances(NUCLEUS * 2, [0.5]), "without gaps"),
        (NUCLEUS, instances(NUCLEUS, [float("nan")]), r"bbbc038/a: a score .* not in \[0, 1\]"),
        (NUCLEUS, instances(NUCLEUS, [1.5]), r"not in \[0, 1\]"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(truth, candidates, message):
    evaluator = Evaluator("m")
    with pytest.raises(InputError, match=message):
        evaluator.update(sample(), truth, candidates, 0.5)
    assert evaluator.per_image == []


def test_an_image_counts_once():
    evaluator = Evaluator("m")
    evaluator.update(sample(), NUCLEUS, instances(NUCLEUS), 0.5)
    with pytest.raises(InputError, match="bbbc038/a: already evaluated"):
        evaluator.update(sample(), NUCLEUS, instances(NUCLEUS), 0.5)


def test_headline_scores_have_intervals_over_cases():
    evaluator = Evaluator("stardist", MetricsConfig(bootstrap=400))
    truth = grid(2, 2)
    found = {"a": truth, "b": truth * (truth > 2), "c": truth * (truth > 3), "d": truth}
    for name, kept in found.items():
        labels = np.unique(kept, return_inverse=True)[1].reshape(truth.shape)
        case = "bc" if name in "bc" else None
        evaluator.update(replace(sample(name), case=case), truth, instances(labels), 0.5)
    overall = evaluator.result()["overall"]
    assert overall["f1_50"] == pytest.approx(2 * 11 / 27)
    for key in ("f1_50", "ap_50", "ap_mean_50_90", "dsb2018_score"):
        assert overall[f"{key}_low"] < overall[key] < overall[f"{key}_high"] == 1
    # The worst resample that counts is three times the case of b and c: 3 of 8 nuclei.
    assert overall["ap_50_low"] == pytest.approx(3 / 8)
    assert overall["f1_50_low"] == pytest.approx(2 * 3 / (8 + 3))
    named = [row["key"] for row in evaluator.result()["metrics"]]
    assert named == list(overall)


def test_intervals_are_those_of_a_second_implementation():
    from scipy.stats import bootstrap

    evaluator = Evaluator("stardist", MetricsConfig(bootstrap=4000))
    for part in random_part(40, 3):
        evaluator.update(*part, score_threshold=0.5)
    scores = np.array([row["dsb2018_score"] for row in evaluator.per_image])
    overall = evaluator.result()["overall"]
    expected = bootstrap((scores,), np.mean, n_resamples=4000, method="percentile", rng=1).confidence_interval
    assert overall["dsb2018_score_low"] == pytest.approx(expected.low, abs=0.01)
    assert overall["dsb2018_score_high"] == pytest.approx(expected.high, abs=0.01)


def test_recall_by_diameter_is_that_of_the_sizes():
    truth = np.zeros((100, 100), np.int32)
    truth[:6, :6], truth[20:30, 20:30], truth[50:60, 50:60], truth[:80, 85:] = (
        1,
        2,
        3,
        4,
    )  # 6.8, 11.3, 11.3, 39.1
    evaluator = Evaluator("stardist")
    evaluator.update(sample(), truth, instances(np.array([0, 0, 1, 0, 2])[truth]), 0.5)
    rows = evaluator.result()["recall_by_diameter"]
    found = {(row["from"], row["to"]): (row["n_true"], row["recall_50"]) for row in rows if row["n_true"]}
    assert found == {(0, 8): (1, 0), (8, 12): (2, 0.5), (32, 48): (1, 1)}
    assert rows[-1] == {"from": 64, "to": None, "n_true": 0, "recall_50": None}
