"""The three files of a saved model: `config.json`, `thresholds.json` and `model.weights.h5`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import keras
import numpy as np
from pydantic import BaseModel, ValidationError

from nucseg.core.errors import ModelError

CONFIG = "config.json"
THRESHOLDS = "thresholds.json"
WEIGHTS = "model.weights.h5"


class _Tunable(Protocol):
    thresholds: dict[str, float]


C = TypeVar("C", bound=BaseModel)
S = TypeVar("S", bound=_Tunable)


def write_files(folder: Path, architecture: dict[str, Any], thresholds: dict[str, float], network: keras.Model) -> None:
    """Write a model into an existing folder.

    Args:
        folder: The folder to write into.
        architecture: The network's configuration, as JSON types; `in_channels` is one of its fields.
        thresholds: Thresholds for decoding.
        network: The network with the weights. It must not be compiled: with its optimizer the file would be three times
            as large.
    """
    config = {"in_channels": architecture["in_channels"], "architecture": architecture}
    (folder / CONFIG).write_text(json.dumps(config, indent=2))
    (folder / THRESHOLDS).write_text(json.dumps(thresholds, indent=2))
    network.save_weights(folder / WEIGHTS)


def read_files(
    folder: Path, title: str, config: type[C], build: Callable[[C], S], network: Callable[[S], keras.Model]
) -> S:
    """Read a model that `write_files` wrote.

    Args:
        folder: The folder to read.
        title: Name of the kind of model, for errors.
        config: The class that validates the architecture.
        build: Builds the model, with random weights.
        network: Returns the network whose weights were written.

    Raises:
        ModelError: A file is missing, damaged or of another kind.
    """
    try:
        model = build(config(**json.loads((folder / CONFIG).read_text())["architecture"]))
        # Folders written before this threshold was: nothing is too small.
        thresholds = {"area": 0.0, **json.loads((folder / THRESHOLDS).read_text())}
        model.thresholds = {name: float(thresholds[name]) for name in model.thresholds}
        network(model).load_weights(folder / WEIGHTS)
        if not np.isfinite(list(model.thresholds.values())).all():
            raise ValueError(f"{THRESHOLDS} has a value that is not a number")
        if not all(np.isfinite(weights).all() for weights in network(model).get_weights()):
            raise ValueError(f"{WEIGHTS} has values that are not numbers")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ValidationError) as error:
        raise ModelError(
            f"{folder}: not a complete {title} model ({error}). Fetch it again (`dvc pull`) or retrain it."
        ) from error
    return model
