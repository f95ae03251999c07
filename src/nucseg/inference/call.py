"""The implementation of `nucseg.predict`."""

import reprlib
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nucseg.core.errors import InputError
from nucseg.core.types import Instances, Precision
from nucseg.core.validation import checked
from nucseg.core.window import Window
from nucseg.images.open import open_content
from nucseg.images.plane_choice import Plane
from nucseg.images.planes import choose_planes
from nucseg.images.source import ImageSource, array_source
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.models.registry import resolve_model


def predict_image(image: Any, model: str | Path, options: Mapping[str, Any]) -> tuple[Instances, Plane]:
    """Find the nuclei of an array, file or URL; see `nucseg.predict`.

    Returns:
        The nuclei, and the plane that was chosen.
    """
    checked_options = checked(PredictOptions, options)
    source, plane = _source(image, checked_options)
    predictor = _predictor(resolve_model(model).absolute(), checked_options.precision)
    return predictor.predict_source(source, checked_options).instances().by_score(), plane


def _source(image: Any, options: PredictOptions) -> tuple[ImageSource, Plane]:
    if isinstance(image, str | Path):
        content = open_content(image, options.scene)
        stack = content.chosen(options.plane, options.channel)
        plane = stack.only(content.name)
        source = content.image(options.channel, plane)
        return replace(source, notes=source.notes + stack.notes), plane
    for given in ("plane", "scene"):
        if getattr(options, given):
            raise InputError(f"image: is an array, which has no {given} to choose; give the {given} as the array.")
    if not hasattr(image, "__array__"):
        raise InputError(
            f"image: {reprlib.repr(image)} is not an image; give an array, or the path or URL of an image."
        )
    array = np.asarray(image)
    if options.channel is not None:
        planes = choose_planes("YXS"[: array.ndim], array.shape, "image", channel=options.channel)
        array = planes.take(array, Window.whole(planes.shape))
    return array_source(array), ()


@lru_cache(maxsize=2)
def _predictor(model: Path, precision: Precision) -> Predictor:
    return Predictor.load(model, PredictOptions(precision=precision))
