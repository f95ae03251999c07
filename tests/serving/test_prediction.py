"""The predictor of the service: what it is told may end it."""

import pytest

from nucseg.images.source import array_source
from nucseg.images.transforms import Normalize
from nucseg.inference.predictor import Predictor
from nucseg.models.bundle import ModelBundle
from nucseg.serving.prediction import ModelPredictor


class StopError(Exception):
    """Nobody wants the image any more."""


def test_whoever_is_told_of_progress_can_end_it_before_the_next_tile_is_read(bright, draw_nuclei) -> None:
    image = draw_nuclei((512, 2048), 40, seed=1)[0]
    bundle = ModelBundle("fake", bright(), (Normalize(pmin=0, pmax=100, min_range=1),), {})
    predictor = ModelPredictor(Predictor(bundle, scale=1.0, precision="float32"))
    told: list[float] = []
    predictor.predict_source(array_source(image), score_threshold=None, progress=told.append)
    assert (min(told), max(told)) == (0.0, 1.0)
    for calls in (1, len(told) // 2):

        def stop(_: float, left: list[int] = [calls]) -> None:  # noqa: B006 - one a loop
            left[0] -= 1
            if left[0] <= 0:
                raise StopError

        with pytest.raises(StopError):
            predictor.predict_source(array_source(image), score_threshold=None, progress=stop)
