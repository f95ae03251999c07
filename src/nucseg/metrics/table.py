"""A metric as a row: the description of each key in `metrics.json`, so that a report needs no list of its own."""

from dataclasses import dataclass
from typing import Literal

Averaging = Literal["count", "pooled", "per image"]


@dataclass(frozen=True)
class Metric:
    """The description of a number in `metrics.json`.

    Attributes:
        key: Its key in a group.
        label: Its readable name.
        short: Short name for the head of a narrow column.
        averaging: `count`, `pooled` (over all images at once) or `per image` (the mean over images).
        definition: Its definition, one sentence.
    """

    key: str
    label: str
    short: str
    averaging: Averaging
    definition: str
