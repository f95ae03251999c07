"""Find nuclei: from an image layer to a labels layer with scores."""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd

from nucseg.core.errors import InputError
from nucseg.images.planes import COLOURS, STAINS
from nucseg.inference.call import predict_image
from nucseg.models.facts import model_facts
from nucseg.models.registry import folder_task, known_models, resolve_model
from nucseg.napari_plugin.layers import leading_axes, pixels_of, place_of

if TYPE_CHECKING:
    import napari.layers
    import napari.types

_ALL_COLOURS = "all"
_OWN_THRESHOLD = 0.0


def segmenters(_: Any = None) -> list[str]:
    """Return the names of the models that find nuclei."""
    return [name for name in known_models() if folder_task(resolve_model(name)) == "instance_segmentation"]


def find_nuclei(
    image: "napari.layers.Image",
    model: Annotated[str, {"choices": segmenters}] = "stardist",
    plane: Annotated[str, {"tooltip": "A number from 0 for each axis before rows and columns, such as 3 or 0,2"}] = "",
    channel: Annotated[
        str, {"choices": [_ALL_COLOURS, *COLOURS, *STAINS], "tooltip": "Colour or stain of a colour image"}
    ] = _ALL_COLOURS,
    threshold: Annotated[
        float, {"min": 0.0, "max": 1.0, "step": 0.05, "tooltip": "Lowest score to keep; 0: the model's own threshold"}
    ] = _OWN_THRESHOLD,
) -> "napari.types.LayerDataTuple":
    """Find the nuclei of a plane of an image layer.

    Args:
        image: The layer.
        model: Name of the model.
        plane: A number from 0 for each axis before rows and columns; empty for an image of one plane.
        channel: Colour or stain of a layer in colour; `all` takes it as it is.
        threshold: Lowest score to keep, at least 0.05; 0 takes the model's own.

    Returns:
        A labels layer of the shape of the image. Its features hold the score of each nucleus, its metadata the model
        and its version.

    Raises:
        InputError: Plane or channel do not fit the layer.
        ModelError: There is no such model.
    """
    place = place_of(image, plane)
    pixels = pixels_of(image, place)
    options: dict[str, Any] = {} if threshold == _OWN_THRESHOLD else {"score_threshold": threshold}
    if channel != _ALL_COLOURS:
        if not image.rgb:
            raise InputError(f"{image.name}: is not in colour, so it has no channel {channel}; choose {_ALL_COLOURS}.")
        options["channel"] = COLOURS.index(channel) if channel in COLOURS else channel
    if image.rgb:
        pixels = pixels[..., :3]
    found, _ = predict_image(pixels, model, options)
    labels = np.zeros((*leading_axes(image), *found.labels.shape), np.int32)
    labels[place] = found.labels
    features = pd.DataFrame({"index": np.arange(1, len(found) + 1), "score": found.scores})
    axes = labels.ndim
    about = {
        "name": f"{image.name} nuclei",
        "features": features,
        "scale": tuple(image.scale)[-axes:],
        "translate": tuple(image.translate)[-axes:],
        "metadata": {"model": model, "version": model_facts(model).version},
    }
    return labels, about, "labels"
