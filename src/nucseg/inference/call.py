"""The implementation of `nucseg.predict`."""

import reprlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from nucseg.core.checks import check_unmasked
from nucseg.core.errors import ConfigError
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

    Raises:
        ConfigError: The model is neither a name nor a folder, or an option is not allowed.
        InputError: The image is none, or has masked pixels.
    """
    if not isinstance(model, str | Path):
        raise ConfigError(
            f"model: {reprlib.repr(model)} is not allowed; it must be the name or the folder of a model, such as "
            "stardist."
        )
    check_unmasked(image, "image")
    checked_options = checked(PredictOptions, options)
    source, plane = given_image(image, checked_options.channel, checked_options.plane, checked_options.scene)
    predictor = _predictor(resolve_model(model).absolute(), checked_options.precision)
    return predictor.predict_source(source, checked_options).instances().by_score(), plane


@lru_cache(maxsize=2)
def _predictor(model: Path, precision: Precision) -> Predictor:
    return Predictor.load(model, PredictOptions(precision=precision))
