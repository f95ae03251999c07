"""The project's parameters as one typed whole, checked before the first node runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nucseg.augment.config import AugmentationConfig
from nucseg.core.errors import ConfigError
from nucseg.core.types import Precision
from nucseg.datasets.config import DownloadConfig, ProcessingConfig
from nucseg.metrics.config import MetricsConfig
from nucseg.models.mask_rcnn.config import MaskRCNNConfig
from nucseg.models.segmenter import LOWEST_SCORE
from nucseg.models.stardist.config import StarDistConfig
from nucseg.reporting.config import VisualizationConfig
from nucseg.reporting.formats.registry import FORMATS
from nucseg.training.config import TrainingConfig


class EvaluationConfig(MetricsConfig):
    """`model_evaluation.yml`: how the test split is predicted and which metrics are computed."""

    candidate_score: float = Field(
        0.05, ge=0.05, lt=1, description="Candidates down to this score are kept for `map` and in `coco.json`."
    )
    precision: Precision = Field(
        "auto", description="Precision of the network; `auto` is bfloat16 where the processor has it."
    )


class InferenceConfig(BaseModel):
    """`inference.yml`: how new images are predicted; the options of `nucseg predict`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field("stardist", description="A model's name, or its folder.")
    formats: tuple[str, ...] = Field(("labels",), min_length=1, description=f"Some of {', '.join(FORMATS)}.")
    scale: Literal["auto"] | float = Field("auto", description="Factor to predict at; `auto` finds it.")
    precision: Precision = Field("auto", description="Of the network.")
    channel: str | None = Field(None, coerce_numbers_to_str=True, description="Of images with several: number or name.")
    pixel_size: float | None = Field(None, gt=0, description="Micrometres, instead of what the images say.")
    tile: int | None = Field(None, ge=64, description="Pixels a side of a tile; null takes the default.")
    score_threshold: float | None = Field(None, ge=LOWEST_SCORE, le=1, description="Instead of the model's own.")
    resume: bool = Field(True, description="Whether what an earlier run has finished is skipped.")

    @field_validator("formats")
    @classmethod
    def _are_known(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [given for given in formats if given not in FORMATS]
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: allowed are {', '.join(FORMATS)}")
        return formats

    @field_validator("scale")
    @classmethod
    def _is_above_zero(cls, scale: Literal["auto"] | float) -> Literal["auto"] | float:
        if scale != "auto" and not 0.05 <= scale <= 20:
            raise ValueError("allowed are auto and factors from 0.05 to 20")
        return scale


class StarDistParameters(BaseModel):
    """`stardist` in `model_config.yml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: StarDistConfig = Field(description="The network, and where its weights start from.")
    training: TrainingConfig = Field(description="How it is trained.")


class MaskRCNNParameters(BaseModel):
    """`mask_rcnn` in `model_config.yml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: MaskRCNNConfig = Field(description="The network, and where its weights start from.")
    training: TrainingConfig = Field(description="How it is trained.")


class Parameters(BaseModel):
    """Every parameter of the project."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_download: DownloadConfig
    data_preprocessing: ProcessingConfig
    data_augmentations: AugmentationConfig
    stardist: StarDistParameters
    mask_rcnn: MaskRCNNParameters
    model_evaluation: EvaluationConfig
    results_visualization: VisualizationConfig
    inference: InferenceConfig


def check_parameters(parameters: Mapping[str, Any], folders: list[Path]) -> Parameters:
    """Check all parameters at once.

    Args:
        parameters: What the configuration files and the command line say together.
        folders: The configuration folders in the order in which they were read, to tell which file to mend.

    Returns:
        The typed parameters.

    Raises:
        ConfigError: One line for each wrong parameter, with its file, key, value and what is allowed.
    """
    try:
        return Parameters.model_validate(parameters)
    except ValidationError as error:
        lines = [_line(problem, parameters, folders) for problem in error.errors()]
        raise ConfigError("\n".join([f"{len(lines)} wrong parameter(s):", *lines])) from None


def _line(problem: Mapping[str, Any], parameters: Mapping[str, Any], folders: list[Path]) -> str:
    keys = _existing(problem["loc"], parameters)
    allowed = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        allowed = "there is no such parameter; remove it or correct its name"
    value = "" if problem["type"] == "missing" else f" is {problem['input']!r}"
    return f"- {_source(keys, parameters, folders)}: {'.'.join(map(str, keys))}{value}: {allowed}"


def _existing(loc: tuple[str | int, ...], parameters: Any) -> list[str | int]:
    """Drop what pydantic puts between the keys (names of union members)."""
    keys: list[str | int] = []
    for position, part in enumerate(loc):
        known = (isinstance(parameters, Mapping) and part in parameters) or (
            isinstance(parameters, list) and isinstance(part, int) and part < len(parameters)
        )
        if known:
            parameters = parameters[part]
            keys.append(part)
        elif position == len(loc) - 1:
            keys.append(part)
    return keys


def _source(keys: list[str | int], parameters: Any, folders: list[Path]) -> str:
    """Name the file to mend: the last read one that holds the key, or what leads to it."""
    files = [file for folder in reversed(folders) for file in sorted(folder.rglob("parameters*/**/*.y*ml"))]
    for length in range(len(keys), 0, -1):
        for file in files:
            found, content = _value(yaml.safe_load(file.read_text(encoding="utf-8")), keys[:length])
            if found:
                name = "/".join(file.parts[-4:])
                overridden = length == len(keys) and content != _value(parameters, keys)[1]
                return f"--params (instead of {name})" if overridden else name
    return "--params"


def _value(content: Any, keys: list[str | int]) -> tuple[bool, Any]:
    """Follow the keys into nested mappings and lists, if they lead somewhere."""
    for key in keys:
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError):
            return False, None
    return True, content
