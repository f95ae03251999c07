"""The interface of a served model of any task."""

from collections.abc import Callable
from typing import Any, Protocol

from numpy.typing import NDArray

from nucseg.images.source import ImageSource
from nucseg.inference.options import PredictOptions


class ServedModel(Protocol):
    """A model that predicts images, such as `nucseg.inference.predictor.Predictor`; results depend on its task."""

    def predict(self, image: NDArray, options: PredictOptions, *, name: str = "image") -> Any:
        """Predict an image in memory, for `/model/predict`."""
        ...

    def predict_source(self, source: ImageSource, options: PredictOptions, *, progress: Callable[[float], None]) -> Any:
        """Predict an image of any size, for a queued job; `progress` is called with the finished fraction."""
        ...
