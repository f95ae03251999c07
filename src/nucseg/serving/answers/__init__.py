"""What goes over the wire, a module for each task: one server answers for one task, that of its default model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from nucseg.serving.answers import instances, patches
from nucseg.serving.answers.contract import Contract
from nucseg.serving.answers.served import ServedModel
from nucseg.serving.settings import Settings


class Answers(Protocol):
    """A module of this package.

    Attributes:
        CONTRACT: What the interface looks like.
    """

    CONTRACT: Contract

    def load(self, folder: Path, settings: Settings) -> ServedModel:
        """Load the model of a folder; imports TensorFlow."""
        ...

    def check(self, image: NDArray, kind: str) -> NDArray:
        """Return what the models take of an image, or refuse it.

        Args:
            image: As decoded.
            kind: Format of its file: PNG, JPEG or TIFF.

        Raises:
            InputError: They do not take such an image.
        """
        ...

    def max_facts(self, datasets: dict[str, str]) -> dict[str, str]:
        """Return the facts that the metadata of the MAX service of this task have."""
        ...

    def count(self, found: Any) -> int:
        """Return the number of nuclei in what was found."""
        ...

    def encode(self, found: Any) -> bytes:
        """Return what was found as the JSON text of the contract's answer."""
        ...


ANSWERS: Mapping[str, Answers] = {"instance_segmentation": instances, "patch_classification": patches}
"""The module of each task, by the name that `ModelEntry.task` calls it."""
