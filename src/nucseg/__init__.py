"""Find every nucleus in a microscopy image: StarDist and Mask R-CNN as a Kedro project."""

from typing import TYPE_CHECKING, Literal

from nucseg.core.package import VERSION
from nucseg.core.types import Instances, Precision

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__version__ = VERSION
__all__ = ["Instances", "predict"]


def predict(
    image: "NDArray | str | Path",
    *,
    model: "str | Path" = "stardist",
    channel: str | int | None = None,
    scale: float | Literal["auto"] = "auto",
    magnification: float | None = None,
    score_threshold: float | None = None,
    tile: int | None = None,
    precision: Precision = "auto",
) -> Instances:
    """Find the nuclei of one image of any size.

    >>> found = nucseg.predict("slide.tif")            # doctest: +SKIP
    >>> found.labels.max(), found.scores.mean()        # doctest: +SKIP

    Args:
        image: `(H, W)` or `(H, W, C)` of any integer, boolean or float dtype, as stored; or the path or URL of a file.
        model: Name or folder of a model; it is loaded once.
        channel: Name of a channel, or its number from 0; None takes a grey or a colour image as it is.
        scale: Factor, from 0.05 to 20, by which the image is resized for the network: below 1 for nuclei larger than
            those the model knows, above 1 for smaller ones. `auto` estimates it.
        magnification: Magnification of the objective, if known; only a model that rescales to one uses it.
        score_threshold: Lowest score to keep, from 0.05 to 1; None takes the model's own.
        tile: Side of a tile in the network's pixels, from 64 up to the model's default; None takes the default. Seams
            do not show.
        precision: Number format of the network: `float32`, `bfloat16`, or `auto`, which is bfloat16 if the processor
            supports it and there is no GPU.

    Returns:
        The label image `(H, W)` int32, and the score of each nucleus.

    Raises:
        InputError: `image` is neither an array nor a path, is not a single image, or has no such channel.
        ModelError: There is no such model.
        ConfigError: An option is not allowed.
    """
    from nucseg.inference.call import predict_image  # imports TensorFlow, which takes seconds

    options = {
        "channel": channel,
        "scale": scale,
        "magnification": magnification,
        "score_threshold": score_threshold,
        "tile": tile,
        "precision": precision,
    }
    return predict_image(image, model, options)
