"""Corrected nuclei as the page sends them."""

import json
from typing import Any

import numpy as np

from nucseg.core.errors import InputError
from nucseg.core.types import Instances
from nucseg.datasets.annotations import geojson
from nucseg.masks.labels import relabel


def read_corrected(content: bytes, shape: tuple[int, int], name: str) -> Instances:
    """Read nuclei from GeoJSON; none is an answer, too.

    Args:
        content: A FeatureCollection. A pixel that several outlines share belongs to the smallest nucleus. A nucleus
            without a measurement `Score` has the score 1.
        shape: `(H, W)` of the image.
        name: What is sent, for messages.

    Raises:
        InputError: It is not GeoJSON of outlines, or that of another image.
    """
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: is not JSON ({error}); send a FeatureCollection of outlines.") from error
    if not isinstance(document, dict) or not isinstance(document.get("features"), list):
        raise InputError(f"{name}: is not GeoJSON; send a FeatureCollection of outlines.")
    pixels = list(geojson.read(document, shape, name))
    scores = np.array([_score(feature, name) for feature in document["features"]], np.float32)
    labels = np.zeros(shape, np.int32)
    for number in sorted(range(len(pixels)), key=lambda number: -pixels[number].size):
        labels.ravel()[pixels[number]] = number + 1
    left = np.unique(labels[labels > 0])
    return Instances(relabel(labels), scores[left - 1])


def _score(feature: dict[str, Any], name: str) -> float:
    properties = feature.get("properties")
    measured = properties.get("measurements") if isinstance(properties, dict) else None
    score = measured.get("Score", 1.0) if isinstance(measured, dict) else 1.0
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise InputError(f"{name}: the score {score!r} of a nucleus is not a number between 0 and 1.")
    return float(score)
