"""Train, val or test: a function of an id alone."""

import hashlib
from collections.abc import Mapping


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
