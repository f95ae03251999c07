"""Train, val or test: a function of an id alone."""

import hashlib
from collections.abc import Mapping, Sequence


def split_of(image_id: str, salt: str, fractions: Mapping[str, float]) -> str:
    """Choose a split by a salted hash, so that the choice does not depend on which other images are present.

    Args:
        image_id: Id of the image, or of the image that represents its group.
        salt: Another salt gives another choice.
        fractions: The splits to choose from, in order, with their shares; the shares need not sum to 1.

    Returns:
        One of the keys of `fractions`.
    """
    digest = hashlib.sha256(f"{salt}/{image_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64 * sum(fractions.values())
    *others, last = fractions
    for split in others:
        place -= fractions[split]
        if place < 0:
            return split
    return last


def split_cases(cases: Sequence[str], strata: Sequence[str], salt: str, fractions: Mapping[str, float]) -> list[str]:
    """Choose a split for each case, so that every stratum gives each split its share of cases.

    Args:
        cases: Case of each sample; a case in two strata counts in the first.
        strata: Stratum of each sample, such as a laboratory.
        salt: Another salt gives another choice.
        fractions: The splits with their shares; the shares need not sum to 1. The first one gets what rounding leaves.

    Returns:
        The split of each sample: the same for all of a case.
    """
    stratum_of = dict(zip(reversed(cases), reversed(strata), strict=True))
    chosen: dict[str, str] = {}
    first, *others = fractions
    whole = sum(fractions.values())
    for stratum in sorted(set(stratum_of.values())):
        members = [case for case, of in stratum_of.items() if of == stratum]
        members.sort(key=lambda case: hashlib.sha256(f"{salt}/{case}".encode()).digest())
        counts = {split: round(fractions[split] / whole * len(members)) for split in reversed(others)}
        for split, count in counts.items():
            chosen |= dict.fromkeys(members[:count], split)
            members = members[count:]
        chosen |= dict.fromkeys(members, first)
    return [chosen[case] for case in cases]
