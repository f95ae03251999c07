"""The contract of an HTTP interface."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel

from nucseg.serving.answers.labels import Labels
from nucseg.serving.results import ResultFile

API_VERSION = "2.0.0"
"""Version of our own interfaces, not of this package: MAX-Nucleus-Segmenter was 1."""


@dataclass(frozen=True)
class Contract:
    """The HTTP interface of some kinds of models.

    Attributes:
        answer: The schema of `/model/predict` and `/invocations`; None if there are none of the routes of MAX services,
            and the answer of `/invocations` is always a mask.
        files: The formats of the result of a queued image, by name, the default one first; without any there is no
            queue.
        batch: The formats that workers of SQS write, the mask last; without any they do not take such a model.
        labels: How `/model/labels` lists the classes; None if there is no such route.
        has_outlines: Whether what is found are outlines, which the page /look shows and corrects.
        takes_threshold: Whether `/model/predict` has a threshold.
        finds_nuclei: Whether queued images have a threshold and a pixel size, and their results a number of nuclei.
        encode_mask: Encodes the result as a PNG, for `/invocations`; None if there is no mask.
        example: An image to warm a model up with.
        title: Title of the Swagger 2.0 document, which clients of the MAX service check.
        version: Version of the interface.
        paths: What the paths of the Swagger 2.0 document start with.
        description: What the interface is for.
        predict: Description of `/model/predict`.
        invocations: Description of `/invocations`.
        image: Description of the image that `/model/predict` takes.
        wrong_type: Status of the response to a body that is not called an image.
        invalid_image: Message of the response to what is not an image, with the reason beside it; None for the reason
            alone.
        titled_errors: Whether errors have `title` and `description` as well.
    """

    answer: type[BaseModel] | None
    files: Mapping[str, ResultFile]
    batch: tuple[str, ...]
    labels: Labels | None
    has_outlines: bool
    takes_threshold: bool
    finds_nuclei: bool
    encode_mask: Callable[[Any], bytes] | None
    example: NDArray
    title: str
    description: str
    predict: str
    invocations: str
    image: str
    version: str = API_VERSION
    paths: tuple[str, ...] = ("/model",)
    wrong_type: HTTPStatus = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    invalid_image: str | None = None
    titled_errors: bool = False
