"""A metric as a row: what `metrics.json` says of each of its keys, so that a report needs no list of its own."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """What is to be known of a number in `metrics.json`.

    Attributes:
        key: Its key in a group.
        label: Its readable name.
        short: Its name for the head of a narrow column.
        averaging: `count`, `pooled` (over all images at once) or `per image` (the mean over images).
        definition: Its definition, one sentence.
    """

    key: str
    label: str
    short: str
    averaging: Literal["count", "pooled", "per image"]
    definition: str
