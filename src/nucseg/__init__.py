"""Find every nucleus in a microscopy image: StarDist and Mask R-CNN as a Kedro project."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nucseg.core.types import Instances

__version__ = "0.1.0"


def predict(image: "NDArray | str | Path", *, model: "str | Path" = "stardist", **options: Any) -> "Instances":
    """Find the nuclei of one image of any size.

    >>> found = nucseg.predict("slide.tif")            # doctest: +SKIP
    >>> found.labels.max(), found.scores.mean()        # doctest: +SKIP

    Args:
        image: `(H, W)` or `(H, W, C)` of any dtype, as stored; or the path or URL of an image.
        model: Name or folder of a model; it is loaded once.
        options: `scale`, `precision`, `channel` (of a file), `tile`, `magnification` and `score_threshold`, as in
            `nucseg.inference.predictor.Predictor` and `nucseg.inference.tiled.tile_job`.

    Returns:
        The label image `(H, W)` int32 and the scores.

    Raises:
        NucsegError: It is not an image, or there is no such model.
    """
    # By its name, for every module of the package imports this one first.
    return import_module("nucseg.inference.call").predict_image(image, model, **options)
