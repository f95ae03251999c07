import numpy as np
import pandas as pd
import pytest

from nucseg.models.run import RunParameters, RunRecord
from nucseg.models.stardist.config import StarDistConfig
from nucseg.reporting.comparison import mean_interval, paired_differences, parameter_differences
from nucseg.training.config import SamplingConfig, TrainingConfig


def table(ids: str, scores: list[float | None]) -> pd.DataFrame:
    return pd.DataFrame({"image_id": list(ids), "dataset": "own", "f1_50": scores})


def test_differences_are_those_of_the_same_images_whatever_their_order() -> None:
    tables = {"old": table("abcd", [0.5, 0.6, 0.7, None]), "new": table("cbae", [0.8, 0.6, 0.7, 0.1])}
    (row,) = paired_differences(tables, ["f1_50", "pq"])
    assert (row.first, row.second, row.n_images, row.better, row.worse) == ("old", "new", 3, 2, 0)
    assert row.of_first.mean == pytest.approx(0.6)
    assert row.of_second.mean == pytest.approx(0.7)
    assert row.difference.mean == pytest.approx(0.1)


def test_an_interval_covers_the_mean_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        found = mean_interval(generator.normal(0.5, 0.1, 40))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.5 <= found.high
    assert 88 <= covered <= 99


def test_what_is_clear() -> None:
    scores = np.linspace(0.3, 0.6, 20)
    for gain, clear in ((np.full(20, 0.1), True), (np.resize([0.1, -0.1], 20), False), (np.zeros(20), False)):
        ids = "abcdefghijklmnopqrst"
        (row,) = paired_differences(
            {"a": table(ids, scores.tolist()), "b": table(ids, (scores + gain).tolist())}, ["f1_50"]
        )
        assert row.clear == clear
    (one,) = paired_differences({"a": table("a", [0.1]), "b": table("a", [0.9])}, ["f1_50"])
    assert str(one.difference) == "0.800"
    assert not one.clear


def test_every_pair_of_models() -> None:
    tables = {name: table("ab", [0.1, 0.2]) for name in ("a", "b", "c")}
    assert [(row.first, row.second) for row in paired_differences(tables, ["f1_50"])] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]


def test_only_parameters_that_differ() -> None:
    def run(rate: float, **model: int) -> RunRecord:
        training = {"learning_rate": rate, "batch_size": 4}
        return RunRecord(seed=1, splits={"train": ["a", "b"]}, parameters=RunParameters(model=model, training=training))

    unknown = {"one": None, "two": None}
    found = parameter_differences({"one": run(1e-4, n_rays=32), "two": run(2e-4, n_rays=32, grid=2)}, unknown)
    assert found.columns.tolist() == ["one", "two"]
    assert found.loc["training.learning_rate"].tolist() == ["0.0001", "0.0002"]
    assert found.loc["model.grid"].tolist() == ["-", "2"]
    assert len(found) == 2
    assert parameter_differences({"one": run(1e-4), "two": run(1e-4)}, unknown).empty


def test_defaults_that_one_version_did_not_record_are_no_differences() -> None:
    old = {"patch_size": 256, "foreground_probability": 0.9, "balance": "modality"}
    new = TrainingConfig(patch_size=128).model_dump(mode="json")
    sampling = SamplingConfig(balance="none").model_dump(mode="json")
    model = StarDistConfig(grid=4).model_dump(mode="json")
    found = parameter_differences(
        {
            "old": RunRecord(parameters=RunParameters(model={"n_rays": 32}, training=old)),
            "new": RunRecord(parameters=RunParameters(model=model, training=new, sampling=sampling)),
        },
        {"old": "stardist", "new": "stardist"},
    )
    assert {key: row.tolist() for key, row in found.iterrows()} == {
        "model.grid": ["2", "4"],
        "training.patch_size": ["256", "128"],
        "sampling.balance": ["modality", "none"],
    }
