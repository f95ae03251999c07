"""The contract of a task's HTTP interface."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel

from nucseg.serving.results import ResultFile


@dataclass(frozen=True)
class Contract:
    """The HTTP interface of a task.

    Attributes:
        answer: The schema of `/model/predict` and `/invocations`.
        files: The formats of the result of a queued image, by name; the first one is the default.
        classes: Names of the classes that the models find; without any there is no `/model/labels`.
        has_outlines: Whether what is found are outlines, which the page /look shows and corrects.
        takes_threshold: Whether `/model/predict` has a threshold.
        encode_mask: Encodes the result as a PNG, for `/invocations`; None if there is no mask.
        example: An image to warm a model up with.
        title: Title of the Swagger 2.0 document, which clients of the MAX service check.
        description: What the interface is for.
        predict: Description of `/model/predict`.
        invocations: Description of `/invocations`.
        image: Description of the image that `/model/predict` takes.
    """

    answer: type[BaseModel]
    files: Mapping[str, ResultFile]
    classes: tuple[str, ...]
    has_outlines: bool
    takes_threshold: bool
    encode_mask: Callable[[Any], bytes] | None
    example: NDArray
    title: str
    description: str
    predict: str
    invocations: str
    image: str
