"""The classes that models find, as `/model/labels` lists them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel


class Label(BaseModel):
    """A class that is found."""

    id: int
    name: str


class LabelsAnswer(BaseModel):
    """The classes that are found."""

    count: int
    labels: list[Label]


@dataclass(frozen=True)
class Labels:
    """A way to list classes.

    Attributes:
        answer: The schema of the list.
        listed: Creates it from the names of the classes.
    """

    answer: Any
    listed: Callable[[Sequence[str]], Any]


def _counted(classes: Sequence[str]) -> LabelsAnswer:
    labels = [Label(id=number, name=name) for number, name in enumerate(classes, start=1)]
    return LabelsAnswer(count=len(labels), labels=labels)


def _bare(classes: Sequence[str]) -> list[Label]:
    return [Label(id=number, name=name) for number, name in enumerate(classes)]


COUNTED = Labels(LabelsAnswer, _counted)
"""Their number, and the classes from 1 on; 0 is the background, which is not listed."""

BARE = Labels(list[Label], _bare)
"""A bare list of the classes from 0 on."""
