"""The implementation of `nucseg.predict`."""

import reprlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nucseg.core.errors import InputError
from nucseg.core.types import Instances, Precision
from nucseg.core.validation import checked
from nucseg.core.window import Window
from nucseg.images.open import open_image
from nucseg.images.planes import Channel, choose_planes
from nucseg.images.source import ImageSource, array_source
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.models.registry import resolve_model


def predict_image(image: Any, model: str | Path, options: Mapping[str, Any]) -> Instances:
    """Find the nuclei of an array, file or URL; see `nucseg.predict`."""
    checked_options = checked(PredictOptions, options)
    source = _source(image, checked_options.channel)
    predictor = _predictor(resolve_model(model).absolute(), checked_options.precision)
    return predictor.predict_source(source, checked_options).instances().by_score()


def _source(image: Any, channel: Channel) -> ImageSource:
    if isinstance(image, str | Path):
        return open_image(image, channel)
    if not hasattr(image, "__array__"):
        raise InputError(
            f"image: {reprlib.repr(image)} is not an image; give an array, or the path or URL of an image."
        )
    array = np.asarray(image)
    if channel is not None:
        planes = choose_planes("YXS"[: array.ndim], array.shape, "image", channel=channel)
        array = planes.take(array, Window.whole(planes.shape))
    return array_source(array)


@lru_cache(maxsize=2)
def _predictor(model: Path, precision: Precision) -> Predictor:
    return Predictor.load(model, PredictOptions(precision=precision))
