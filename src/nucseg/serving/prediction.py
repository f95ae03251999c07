"""The project's one predictor as the service uses it: an image at once, or a large one tile by tile."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

from numpy.typing import NDArray

from nucseg.core.types import Instances, Precision
from nucseg.core.window import Window
from nucseg.images.source import ImageSource
from nucseg.inference.engine import LocalEngine
from nucseg.inference.mosaic import Mosaic
from nucseg.inference.parts import Part
from nucseg.inference.predictor import Predictor
from nucseg.inference.tiled import predict_tiled


class ModelPredictor:
    """A model of a folder.

    Args:
        predictor: What predicts.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._engine = LocalEngine(predictor.bundle.model)

    @classmethod
    def load(cls, folder: Path, *, precision: Precision) -> Self:
        """Load the model of a folder; imports TensorFlow."""
        return cls(Predictor.load(folder, precision=precision))

    def predict(self, image: NDArray, *, score_threshold: float | None = None, name: str = "image") -> Instances:
        """Find the nuclei of an image in memory; see `Predictor.predict`."""
        return self._predictor.predict(image, score_threshold=score_threshold, name=name)

    def predict_source(
        self, source: ImageSource, *, score_threshold: float | None, progress: Callable[[float], None]
    ) -> Mosaic:
        """Find the nuclei of an image of any size; see `nucseg.inference.tiled.predict_tiled`.

        Args:
            source: The image.
            score_threshold: As in `predict`.
            progress: Called with the fraction that is done, before each piece that is read and after each tile; what it
                raises ends the prediction.
        """
        done = 0.0

        def read(window: Window) -> NDArray:
            progress(done)
            return source.read(window)

        job = self._predictor.job(replace(source, read=read), score_threshold=score_threshold)

        def tell(tile: int, part: Part) -> None:
            nonlocal done
            done += 1 / len(job.grid)
            progress(min(done, 1.0))

        return predict_tiled(job, self._engine, on_tile=tell)
