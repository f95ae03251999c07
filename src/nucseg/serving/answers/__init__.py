"""What goes over the wire, a module for each task: one server answers for one task, that of its default model."""

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import BaseModel

from nucseg.serving.answers import instances


class Answers(Protocol):
    """A module of this package.

    Attributes:
        ANSWER: The schema of `/model/predict` and `/invocations`.
        CLASSES: Names of the classes that the models find.
    """

    ANSWER: type[BaseModel]
    CLASSES: tuple[str, ...]

    def max_facts(self, datasets: dict[str, str]) -> dict[str, str]:
        """Return the facts that the metadata of the MAX service of this task have."""
        ...

    def encode(self, found: Any) -> bytes:
        """Return what was found as the JSON text of `ANSWER`."""
        ...

    def encode_mask(self, found: Any) -> bytes:
        """Return what was found as a PNG."""
        ...


ANSWERS: Mapping[str, Answers] = {"instance_segmentation": instances}
"""The module of each task, by the name that `ModelEntry.task` calls it."""
