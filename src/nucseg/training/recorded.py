"""The parameters that a model was trained with, as they would be recorded today."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from nucseg.images.transforms import LABEL_RULE
from nucseg.models.registry import config_class
from nucseg.models.run import RunRecord
from nucseg.training.config import PointSamplingConfig, SamplingConfig, SemanticSamplingConfig, TrainingConfig

_SAMPLINGS = (SamplingConfig, SemanticSamplingConfig, PointSamplingConfig)


def recorded_parameters(run: RunRecord, kind: str | None) -> dict[str, Any]:
    """Return what a model was configured with, whichever version recorded it.

    A parameter that was left out, or that did not exist yet, has its default: a new parameter's default is what was
    done before. What older versions recorded in another section is moved to where it belongs now.

    Args:
        run: The record of the model.
        kind: Its kind; None leaves its architecture as it was recorded.

    Returns:
        The fields of `RunParameters`, as JSON types. A section that was not recorded stays out.
    """
    parameters = run.content().get("parameters", {})
    model = parameters.get("model")
    if model and kind is not None:
        parameters["model"] = _completed(config_class(kind), model)
    # Whether holes are filled has become a parameter of the data.
    parameters["preprocessing"] = [each for each in parameters.get("preprocessing", []) if each["name"] != LABEL_RULE]
    moved: dict[str, Any] = {}
    for section in ("training", "augmentation"):
        recorded = parameters.get(section) or {}
        moved |= {key: recorded.pop(key) for key in SamplingConfig.model_fields if key in recorded}
    if parameters.get("training"):
        parameters["training"] = _completed(TrainingConfig, parameters["training"])
        sampling = {**moved, **(parameters.get("sampling") or {})}
        config = next((each for each in _SAMPLINGS if sampling and sampling.keys() <= each.model_fields.keys()), None)
        if config is not None:
            parameters["sampling"] = _completed(config, sampling)
    return parameters


def _completed(config: type[BaseModel], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Add the defaults of a configuration to what was recorded; what it does not know stays."""
    known = {key: value for key, value in recorded.items() if key in config.model_fields}
    try:
        completed = config.model_validate(known).model_dump(mode="json")
    except ValidationError:  # of a version in which other values were allowed
        return dict(recorded)
    return completed | {key: value for key, value in recorded.items() if key not in known}
