"""The interface of a task: all that the Kedro nodes know about it."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel

from nucseg.core.types import Sample
from nucseg.models.bundle import ModelBundle
from nucseg.reporting.config import ImageChoice
from nucseg.reporting.page import Page

if TYPE_CHECKING:
    from nucseg.training.train import TaskTraining


class Task(Protocol):
    """A module of `nucseg.tasks`.

    Only its own functions look into truths and predictions; the nodes pass them on.

    Attributes:
        SECTION: The part of the parameters and of the catalog that holds the task's data, such as `patches`; None for
            the nuclei, whose data stand outside of any.
        SAMPLING: The type of the parameters `<model>.sampling`.
        EVALUATION: The type of the parameters `model_evaluation`.
        VISUALIZATION: The type of the parameters `results_visualization`.
        PAGE: What the report says beside scores.
        MINES: Whether a second training sees what a first model mistook; then `mine` and `with_mined` are there, as
            `nucseg.tasks.patches` has them.
        TABLES: The datasets of the catalog that `evaluate` returns beside metrics and scores; each is an argument of
            `ModelReport`.
        EXPORTS: The datasets of the catalog that `exports` returns.
    """

    SECTION: str | None
    SAMPLING: type[BaseModel]
    EVALUATION: type[BaseModel]
    VISUALIZATION: type[ImageChoice]
    PAGE: Page
    MINES: bool
    TABLES: tuple[str, ...]
    EXPORTS: tuple[str, ...]

    def training(self) -> "TaskTraining":
        """Return what training takes of the task (TensorFlow is imported now)."""
        ...

    def read_truth(self, sample: Sample) -> Any:
        """Read the annotated truth.

        Raises:
            InputError: A file is missing or unreadable.
        """
        ...

    def predictor(self, bundle: ModelBundle, config: Any) -> Callable[[Sample], Any]:
        """Return the function that predicts an annotated image with a model.

        Raises:
            ConfigError: The precision is not available.
        """
        ...

    def predicted(self, prediction: Any) -> NDArray:
        """Return the prediction as `predicted_labels` stores it, in the frame of the image."""
        ...

    def to_record(self, sample: Sample, prediction: Any) -> dict[str, Any]:
        """Create the record of a prediction, from which scores, exports and pictures are computed: JSON types only."""
        ...

    def from_record(self, record: Mapping[str, Any]) -> Any:
        """Read what `to_record` created.

        Raises:
            InputError: It is damaged.
        """
        ...

    def evaluate(
        self, model: str, images: Iterable[tuple[Sample, Any, Any]], config: Any
    ) -> tuple[dict[str, Any], pd.DataFrame, *tuple[pd.DataFrame, ...]]:
        """Measure predictions against the truth.

        Args:
            model: Name of the model.
            images: Sample, truth and prediction of each image; taken one at a time.
            config: Which metrics are computed.

        Returns:
            The content of `metrics.json` and of `per_image.csv`, then of each of `TABLES`.
        """
        ...

    def exports(self, predictions: Iterable[tuple[Sample, Any]]) -> tuple[Any, ...]:
        """Create the files that other programs read, one for each of `EXPORTS`.

        Args:
            predictions: Sample and prediction of each image; taken one at a time.
        """
        ...

    def draw(self, image: NDArray, truth: Any, prediction: Any, facts: Mapping[str, Any], config: Any) -> Image.Image:
        """Draw truth and prediction of one image.

        Args:
            image: `(H, W)` or `(H, W, 3)`, as stored.
            truth: The truth of the image.
            prediction: The prediction for it.
            facts: The image's row of `per_image.csv`.
            config: How it is drawn.
        """
        ...
