import pandas as pd
import pytest

from nucseg.core.errors import ConfigError, InputError
from nucseg.reporting.config import VisualizationConfig
from nucseg.reporting.selection import Choice, choose_differences, choose_images


def table(**scores: float | None) -> pd.DataFrame:
    return pd.DataFrame(
        {"image_id": list(scores), "dataset": "set1", "ap_mean_50_90": list(scores.values()), "f1_50": 1.0}
    )


def chosen(per_image: pd.DataFrame, **config) -> list[tuple[str, str]]:
    return [(c.key.removeprefix("set1/"), c.reason) for c in choose_images(per_image, VisualizationConfig(**config))]


def test_best_median_and_worst_by_score():
    per_image = table(a=0.9, b=0.1, c=0.5, d=0.3, e=0.7)
    assert chosen(per_image, best=1, median=1, worst=2) == [
        ("a", "best"),
        ("c", "median"),
        ("b", "worst 1"),
        ("d", "worst 2"),
    ]


def test_ties_are_ordered_by_name_whatever_the_order_of_the_rows():
    per_image = table(b=0.5, a=0.5, c=0.5)
    assert chosen(per_image, best=0, median=0, worst=1) == [("a", "worst")]
    assert chosen(per_image[::-1], best=0, median=0, worst=1) == [("a", "worst")]


def test_no_image_comes_twice_and_the_first_reason_stays():
    assert chosen(table(a=0.9, b=0.1), best=2, median=1, worst=2) == [("a", "best 1"), ("b", "best 2")]


def test_one_image_is_neither_best_nor_worst():
    assert chosen(table(a=0.9)) == [("a", "the only test image")]


def test_images_without_a_score_take_no_place():
    assert chosen(table(a=None, b=0.4, c=0.6), best=1, median=0, worst=1) == [("c", "best"), ("b", "worst")]


def test_more_asked_for_than_there_are():
    assert {key for key, _ in chosen(table(a=0.1, b=0.2, c=0.3), best=50, median=50, worst=50)} == {"a", "b", "c"}


def test_named_images_replace_the_default_and_keep_their_order():
    config = VisualizationConfig(images=["c", "set1/a", "c"])
    assert choose_images(table(a=0.9, b=0.1, c=0.5), config) == [Choice("set1/c", "named"), Choice("set1/a", "named")]


def test_unknown_name_is_refused_with_near_names():
    with pytest.raises(InputError, match=r"'nucles_01' .*nucleus_01"):
        choose_images(table(nucleus_01=1.0, other=0.5), VisualizationConfig(images=["nucles_01"]))


def test_unknown_name_that_is_the_begin_of_one():
    with pytest.raises(InputError, match=r"did you mean 00071198d059ba7f"):
        choose_images(table(**{"00071198d059ba7f": 1.0, "0121": 0.5}), VisualizationConfig(images=["0007"]))


def test_unknown_name_without_near_ones_says_what_there_is():
    with pytest.raises(InputError, match=r"there are 1, such as set1/aaaa"):
        choose_images(table(aaaa=1.0), VisualizationConfig(images=["zzzz"]))


def test_name_in_two_datasets_must_be_told_apart():
    per_image = pd.DataFrame({"image_id": ["a", "a"], "dataset": ["one", "two"], "ap_mean_50_90": 1.0})
    with pytest.raises(InputError, match="one/a, two/a"):
        choose_images(per_image, VisualizationConfig(images=["a"]))
    assert choose_images(per_image, VisualizationConfig(images=["two/a"])) == [Choice("two/a", "named")]


def test_numeric_ids_read_from_csv_are_found():
    per_image = pd.DataFrame({"image_id": [7, 8], "dataset": "set1", "ap_mean_50_90": [0.1, 0.2]})
    assert choose_images(per_image, VisualizationConfig(images=["7"])) == [Choice("set1/7", "named")]


def test_score_that_was_not_computed_is_refused():
    with pytest.raises(ConfigError, match=r"'pq' is not in per_image\.csv"):
        choose_images(table(a=1.0, b=0.5), VisualizationConfig(rank_by="pq"))


def test_the_images_on_which_models_differ_most():
    """c has no score with one of them, b is missing from the other, a and e are alike."""
    one, other = table(a=0.5, b=0.9, c=None, d=0.2, e=0.5, f=0.6), table(a=0.5, c=0.9, d=0.6, e=0.5, f=0.1)
    found = choose_differences({"one": one, "other": other}, VisualizationConfig(differ=3))
    assert found == [
        Choice("set1/f", "ap_mean_50_90 differs by 0.50"),
        Choice("set1/d", "ap_mean_50_90 differs by 0.40"),
    ]
    assert choose_differences({"one": one, "other": other[::-1]}, VisualizationConfig(differ=1)) == found[:1]
    assert choose_differences({"one": one}, VisualizationConfig()) == []
    with pytest.raises(ConfigError, match="pq"):
        choose_differences({"one": one}, VisualizationConfig(rank_by="pq"))
