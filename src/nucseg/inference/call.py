"""What `nucseg.predict` does."""

import logging
from functools import lru_cache
from pathlib import Path

from numpy.typing import NDArray

from nucseg.core.types import Instances, Precision
from nucseg.core.window import Window
from nucseg.images.open import open_image
from nucseg.images.planes import Channel, check_channel, choose_planes
from nucseg.images.source import array_source
from nucseg.inference.engine import LocalEngine
from nucseg.inference.predictor import Predictor, Scale
from nucseg.inference.tiled import predict_tiled, tile_job
from nucseg.models.precision import use_precision
from nucseg.models.registry import resolve_model

logger = logging.getLogger(__name__)


def predict_image(
    image: NDArray | str | Path,
    model: str | Path,
    *,
    scale: Scale = "auto",
    precision: Precision = "auto",
    channel: Channel = None,
    tile: int | None = None,
    magnification: float | None = None,
    score_threshold: float | None = None,
) -> Instances:
    """Find the nuclei of an array, file or URL; see `nucseg.predict`."""
    source = open_image(image, channel) if isinstance(image, str | Path) else array_source(_channel(image, channel))
    for note in source.notes:
        logger.warning("%s: %s", source.name, note)
    predictor = _predictor(resolve_model(model).absolute(), precision)
    use_precision(precision)  # of the whole process: another call may have changed it
    job = tile_job(
        predictor, source, tile=tile, scale=scale, magnification=magnification, score_threshold=score_threshold
    )
    return predict_tiled(job, LocalEngine(predictor.bundle.segmenter)).instances()


def _channel(image: NDArray, channel: Channel) -> NDArray:
    if check_channel(channel) is None:
        return image
    planes = choose_planes("YXS"[: image.ndim], image.shape, "image", channel=channel)
    return planes.take(image, Window.whole(planes.shape))


@lru_cache(maxsize=2)
def _predictor(model: Path, precision: Precision) -> Predictor:
    return Predictor.load(model, precision=precision)
