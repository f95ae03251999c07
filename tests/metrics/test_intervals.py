"""Bootstrap intervals over cases."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nucseg.core.types import Sample
from nucseg.metrics.intervals import interval, interval_metrics, resampled_sums

SAMPLE = Sample("0", "own", "test", "fluorescence", None, None, 8, 8, 1, 1, 6.0, Path("image.tif"), Path("label.tif"))


def samples(cases):
    return [replace(SAMPLE, image_id=str(number), case=case) for number, case in enumerate(cases)]


def test_whole_cases_are_drawn():
    sums = resampled_sums(np.array([[1, 1], [10, 1], [100, 1]]), samples(["a", "a", None]), 500)
    assert set(map(tuple, sums.tolist())) == {
        (22, 4),
        (111, 3),
        (200, 2),
    }  # 1 never without 10
    assert (sums == resampled_sums(np.array([[1, 1], [10, 1], [100, 1]]), samples(["a", "a", None]), 500)).all()


@pytest.mark.parametrize("cases, resamples", [(["a", "a"], 100), ([], 100), (["a", "b"], 0)])
def test_there_is_no_interval_of_one_case_or_without_resamples(cases, resamples):
    assert resampled_sums(np.ones((len(cases), 2)), samples(cases), resamples) is None


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    rng = np.random.default_rng(1)
    values = np.stack([rng.normal(5, 2, 400), np.ones(400)], 1)
    sums = resampled_sums(values, samples([None] * 400), 4000)
    found = interval("mean", sums[:, 0] / sums[:, 1])
    half = 1.96 * values[:, 0].std() / 20
    mean = values[:, 0].mean()
    assert found["mean_low"] == pytest.approx(mean - half, abs=0.02)
    assert found["mean_high"] == pytest.approx(mean + half, abs=0.02)


def test_undefined_values_are_left_out():
    assert interval("f1", np.array([np.nan, 1.0, 1.0])) == {"f1_low": 1, "f1_high": 1}
    assert interval("f1", np.full(3, np.nan)) == {"f1_low": None, "f1_high": None}


def test_both_ends_are_described():
    low, high = interval_metrics("f1", "F1", "F1", "pooled", "F1")
    assert (low.key, high.key) == ("f1_low", "f1_high")
    assert "percentile 2.5" in low.definition
    assert "percentile 97.5" in high.definition
