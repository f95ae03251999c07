"""What goes over the wire, a module for each contract: one server speaks one, that of its default model's kind."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from nucseg.models.registry import MODELS
from nucseg.serving.answers import instances, patches, probabilities, scenes
from nucseg.serving.answers.contract import Contract
from nucseg.serving.answers.served import ServedModel
from nucseg.serving.settings import DEEPLABS, Settings


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

    def classes(self, config: Mapping[str, Any]) -> Sequence[str]:
        """Return the names of the classes that a model finds.

        Args:
            config: Content of its `config.json`.
        """
        ...

    def max_facts(self, datasets: dict[str, str], classes: Sequence[str]) -> dict[str, str]:
        """Return the facts that the metadata of the MAX service have.

        Args:
            datasets: Title of each dataset that the model was trained on, by its name.
            classes: As `classes` returns them.
        """
        ...

    def count(self, found: Any) -> int | None:
        """Return the number of nuclei in what was found; None where nuclei are not counted."""
        ...

    def encode(self, found: Any) -> bytes:
        """Return what was found as the JSON text of the contract's answer, or as its mask if it has none."""
        ...


OF_TASKS: Mapping[str, Answers] = {
    "instance_segmentation": instances,
    "semantic_segmentation": probabilities,
    "patch_classification": patches,
}
"""The module of each task, by the name that `ModelEntry.task` calls it."""

OF_KINDS: Mapping[str, Answers] = dict.fromkeys(DEEPLABS, scenes)
"""The module of kinds of models whose contract is not that of their task, by their names in `MODELS`."""


def answers_for(kind: str) -> Answers:
    """Return the module of a kind of model."""
    return OF_KINDS.get(kind) or OF_TASKS[MODELS[kind].task]
