from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from nucseg.datasets.splits import split_of

FRACTIONS = {"train": 0.7, "val": 0.1, "test": 0.2}


def test_golden() -> None:
    # Pinned: a change here moves images between train and test of every published number.
    # Worked out from the digits of `printf nucseg-427/a | sha256sum`.
    found = [split_of(image_id, "nucseg-427", FRACTIONS) for image_id in ("a", "b", "c", "d", "e", "f")]

    assert found == ["train", "train", "train", "train", "train", "test"]


def test_shares() -> None:
    counts = Counter(split_of(str(n), "salt", FRACTIONS) for n in range(10_000))

    assert abs(counts["train"] - 7000) < 200
    assert abs(counts["val"] - 1000) < 120
    assert abs(counts["test"] - 2000) < 160


def test_the_salt_changes_the_choice() -> None:
    ids = [str(n) for n in range(100)]

    assert [split_of(i, "a", FRACTIONS) for i in ids] != [split_of(i, "b", FRACTIONS) for i in ids]


@given(st.text(), st.text(), st.floats(0.01, 1), st.floats(0.01, 1))
def test_gives_one_of_the_splits_and_ignores_the_sum(image_id: str, salt: str, a: float, b: float) -> None:
    split = split_of(image_id, salt, {"train": a, "val": b})

    assert split in ("train", "val")
    assert split == split_of(image_id, salt, {"train": 8 * a, "val": 8 * b})


def test_a_share_of_zero_is_never_chosen() -> None:
    assert {split_of(str(n), "s", {"train": 0.0, "val": 1.0, "test": 0.0}) for n in range(200)} == {"val"}
