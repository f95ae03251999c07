"""Which of a user's few images train, choose and test."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from nucseg.core.errors import InputError
from nucseg.core.types import Sample
from nucseg.core.words import counted
from nucseg.datasets.duplicates import near_duplicate_groups

FEWEST = 5
"""Images that a training needs."""

FEW = 10
"""With fewer images each is held out in turn, since one or two tell little."""

_FOLDS = 4
_TEST, _VAL = 0.2, 0.15


def group_images(rows: pd.DataFrame) -> list[list[str]]:
    """Return groups of image ids, near-duplicates in one group; their order is random, but always the same.

    Args:
        rows: The facts of the converted samples.

    Raises:
        InputError: There are fewer images than a training needs, or all of them are alike.
    """
    if len(rows) < FEWEST:
        raise InputError(f"{counted(len(rows), 'image')} can be used; a training needs at least {FEWEST}.")
    alike = near_duplicate_groups(rows)
    groups = [sorted(rows.loc[alike == group, "image_id"]) for group in alike.unique()]
    if len(groups) < 3:
        raise InputError(
            f"the {len(rows)} images show only {counted(len(groups), 'different field')}; a training needs at least 3: "
            "one to train, one to choose and one to test."
        )
    return sorted(groups, key=lambda group: hashlib.sha256(group[0].encode()).hexdigest())


def choose_splits(samples: Sequence[Sample], groups: Sequence[Sequence[str]]) -> list[list[Sample]]:
    """Assign images to train, val and test, so that none is empty.

    Args:
        samples: The images.
        groups: From `group_images`.

    Returns:
        One assignment of all images; of few images several, of which each tests on others and all together on all.
    """
    n = len(groups)
    n_val = max(1, round(_VAL * n))
    if len(samples) >= FEW:
        return [_assigned(samples, groups, range(max(1, round(_TEST * n))), n_val)]
    folds = min(_FOLDS, n)
    return [_assigned(samples, groups, range(fold, n, folds), 1) for fold in range(folds)]


def without_test(samples: Sequence[Sample], groups: Sequence[Sequence[str]]) -> list[Sample]:
    """Assign all images to train and val."""
    return _assigned(samples, groups, (), max(1, round(_VAL * len(groups))))


def _assigned(
    samples: Sequence[Sample], groups: Sequence[Sequence[str]], test: Sequence[int], n_val: int
) -> list[Sample]:
    others = [number for number in range(len(groups)) if number not in test]
    split_of = {}
    for split, numbers in (("test", test), ("val", others[:n_val]), ("train", others[n_val:])):
        split_of.update({image: split for number in numbers for image in groups[number]})
    return [replace(sample, split=split_of[sample.image_id]) for sample in samples]
