"""What `nucseg.predict` does."""

import logging
import reprlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nucseg.core.errors import ConfigError, InputError
from nucseg.core.types import Instances, Precision
from nucseg.core.window import Window
from nucseg.images.open import open_image
from nucseg.images.planes import Channel, check_channel, choose_planes
from nucseg.images.source import ImageSource, array_source
from nucseg.inference.engine import LocalEngine
from nucseg.inference.predictor import Predictor, Scale
from nucseg.inference.tiled import predict_tiled
from nucseg.models.precision import use_precision
from nucseg.models.protocols import LOWEST_SCORE
from nucseg.models.registry import resolve_model

logger = logging.getLogger(__name__)


def predict_image(
    image: Any,
    model: str | Path,
    *,
    channel: Channel,
    scale: Scale,
    magnification: float | None,
    score_threshold: float | None,
    tile: int | None,
    precision: Precision,
) -> Instances:
    """Find the nuclei of an array, file or URL; see `nucseg.predict`."""
    source = _source(image, check_channel(channel))
    if score_threshold is not None and not LOWEST_SCORE <= score_threshold <= 1:
        raise ConfigError(f"score_threshold: {score_threshold} is not allowed; it must be from {LOWEST_SCORE} to 1.")
    predictor = _predictor(resolve_model(model).absolute(), precision)
    use_precision(precision)  # of the whole process: another call may have changed it
    job = predictor.job(source, tile=tile, scale=scale, magnification=magnification, score_threshold=score_threshold)
    for note in job.source.notes:
        logger.warning("%s: %s", source.name, note)
    return predict_tiled(job, LocalEngine(predictor.bundle.model)).instances().by_score()


def _source(image: Any, channel: Channel) -> ImageSource:
    if isinstance(image, str | Path):
        return open_image(image, channel)
    if not hasattr(image, "__array__"):
        raise InputError(f"image: {reprlib.repr(image)} is no image; give an array, or the path or URL of an image.")
    array = np.asarray(image)
    if channel is not None:
        planes = choose_planes("YXS"[: array.ndim], array.shape, "image", channel=channel)
        array = planes.take(array, Window.whole(planes.shape))
    return array_source(array)


@lru_cache(maxsize=2)
def _predictor(model: Path, precision: Precision) -> Predictor:
    return Predictor.load(model, precision=precision)
