"""Which of few images train, choose and test."""

from collections.abc import Callable

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucseg.core.errors import InputError
from nucseg.datasets.duplicates import fingerprint
from nucseg.finetuning.splits import FEW, choose_splits, group_images, without_test


def rows(names: list[str], seeds: list[int], draw_nuclei: Callable) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "image_id": name,
                "height": 64,
                "width": 64,
                "field": None,
                "fingerprint": fingerprint(draw_nuclei((64, 64), 6, seed)[0]),
            }
            for name, seed in zip(names, seeds, strict=True)
        ]
    )


@given(n=st.integers(5, 60))
def test_no_split_is_empty_and_each_image_is_in_one(n: int, make_sample: Callable) -> None:
    samples = [make_sample(image_id=f"i{number}") for number in range(n)]
    groups = [[sample.image_id] for sample in samples]
    assignments = choose_splits(samples, groups)
    assert (len(assignments) > 1) == (n < FEW)
    tested: list[str] = []
    for assignment in assignments:
        assert [sample.image_id for sample in assignment] == [sample.image_id for sample in samples]
        assert {sample.split for sample in assignment} == {"train", "val", "test"}
        tested += [sample.image_id for sample in assignment if sample.split == "test"]
    assert len(tested) == len(set(tested))
    if n < FEW:
        assert len(tested) == n
    assert {sample.split for sample in without_test(samples, groups)} == {"train", "val"}


def test_near_duplicates_stay_together_in_an_order_that_is_always_the_same(draw_nuclei: Callable) -> None:
    names = list("abcdef")
    groups = group_images(rows(names, [1, 2, 3, 1, 4, 5], draw_nuclei))
    assert ["a", "d"] in groups
    assert sorted(name for group in groups for name in group) == names
    assert groups != sorted(groups)
    assert group_images(rows(names[::-1], [5, 4, 1, 3, 2, 1], draw_nuclei)) == groups


def test_too_few_images_are_refused(draw_nuclei: Callable) -> None:
    with pytest.raises(InputError, match="4 images can be used; a training needs at least 5"):
        group_images(rows(list("abcd"), [1, 2, 3, 4], draw_nuclei))
    with pytest.raises(InputError, match="the 6 images show only 2 different fields"):
        group_images(rows(list("abcdef"), [1, 1, 1, 2, 2, 2], draw_nuclei))
