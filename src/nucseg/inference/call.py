"""The implementation of `nucseg.predict`."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from nucseg.core.types import Instances, Precision
from nucseg.core.validation import checked
from nucseg.images.given import given_image
from nucseg.images.plane_choice import Plane
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.models.registry import resolve_model


def predict_image(image: Any, model: str | Path, options: Mapping[str, Any]) -> tuple[Instances, Plane]:
    """Find the nuclei of an array, file or URL; see `nucseg.predict`.

    Returns:
        The nuclei, and the plane that was chosen.
    """
    checked_options = checked(PredictOptions, options)
    source, plane = given_image(image, checked_options.channel, checked_options.plane, checked_options.scene)
    predictor = _predictor(resolve_model(model).absolute(), checked_options.precision)
    return predictor.predict_source(source, checked_options).instances().by_score(), plane


@lru_cache(maxsize=2)
def _predictor(model: Path, precision: Precision) -> Predictor:
    return Predictor.load(model, PredictOptions(precision=precision))
