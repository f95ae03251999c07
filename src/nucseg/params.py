"""The project's parameters, typed and checked before the first node runs."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from nucseg.augment.config import AugmentationConfig
from nucseg.core.errors import ConfigError
from nucseg.core.types import Precision
from nucseg.core.validation import plain_words
from nucseg.datasets.config import DownloadConfig, PatchesDownload, ProcessingConfig, SemanticDownload
from nucseg.metrics.instances.config import MetricsConfig
from nucseg.metrics.patches.config import PatchEvaluationConfig
from nucseg.metrics.semantic.config import SemanticEvaluationConfig
from nucseg.models.registry import MODELS, config_class, project_models
from nucseg.reporting.config import PatchVisualizationConfig, SemanticVisualizationConfig, VisualizationConfig
from nucseg.reporting.options import BatchOptions
from nucseg.training.config import (
    NamedModel,
    PointSamplingConfig,
    SamplingConfig,
    SemanticSamplingConfig,
    TrainingConfig,
)
from nucseg.training.pseudo_config import PseudoConfig


class EvaluationConfig(MetricsConfig):
    """`model_evaluation.yml`: how the test split is predicted and which metrics are computed."""

    candidate_score: float = Field(
        0.05, ge=0.05, lt=1, description="Lowest score of the candidates that are kept for `map` and in `coco.json`."
    )
    precision: Precision = Field(
        "auto", description="Compute precision of the network; `auto` is bfloat16 if the processor is faster in it."
    )


class InferenceConfig(BatchOptions):
    """`inference.yml`: how new images are predicted; the options of `nucseg predict`."""

    model: str = Field("stardist", description="Name of a model, or its folder.")
    resume: bool = Field(True, description=BatchOptions.model_fields["resume"].description)
    overwrite: bool = Field(True, description=BatchOptions.model_fields["overwrite"].description)


Architecture = TypeVar("Architecture", bound=BaseModel)
Sampling = TypeVar("Sampling", bound=BaseModel)

_SAMPLING: dict[str, type[BaseModel]] = {
    "instance_segmentation": SamplingConfig,
    "semantic_segmentation": SemanticSamplingConfig,
    "patch_classification": PointSamplingConfig,
}


class ModelParameters(NamedModel, Generic[Architecture, Sampling]):
    """The section of one model in `model_config.yml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: Architecture = Field(description="The network and its initial weights.")
    sampling: Sampling = Field(description="Which patches it is trained on.")
    training: TrainingConfig = Field(description="How it is trained.")


def _without_classes(config: ProcessingConfig) -> ProcessingConfig:
    if config.classes is not None:
        raise ValueError("classes are named in semantic.data_preprocessing alone; remove `classes` here")
    return config


def _with_classes(config: ProcessingConfig) -> ProcessingConfig:
    if config.classes is None:
        raise ValueError("needs `classes`: the names of the classes, from 0 on")
    return config


_Processing = Annotated[ProcessingConfig, AfterValidator(_without_classes)]


class _Data(BaseModel):
    data_download: DownloadConfig
    data_preprocessing: _Processing
    data_augmentations: AugmentationConfig


if TYPE_CHECKING:
    _Models = _Data
else:
    # One section per model, so that a new one needs no line here.
    _Models = create_model(
        "_Models",
        __base__=_Data,
        **{
            name: (ModelParameters[config_class(kind), _SAMPLING[MODELS[kind].task]], ...)
            for name, kind in project_models().items()
        },
    )


class PatchesParameters(BaseModel):
    """`patches.yml`: the data of the classification of patches, and how it is measured and drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_download: PatchesDownload
    data_preprocessing: _Processing
    data_augmentations: AugmentationConfig
    model_evaluation: PatchEvaluationConfig
    results_visualization: PatchVisualizationConfig


class SemanticParameters(BaseModel):
    """`semantic.yml`: the data of semantic segmentation, and how it is measured and drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_download: SemanticDownload
    data_preprocessing: Annotated[ProcessingConfig, AfterValidator(_with_classes)]
    data_augmentations: AugmentationConfig
    model_evaluation: SemanticEvaluationConfig
    results_visualization: SemanticVisualizationConfig


class Parameters(_Models):
    """Every parameter of the project."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model_evaluation: EvaluationConfig
    results_visualization: VisualizationConfig
    inference: InferenceConfig
    patches: PatchesParameters
    semantic: SemanticParameters
    pseudo_labelling: PseudoConfig

    def of_model(self, name: str) -> ModelParameters[Any, Any]:
        """Return the section of a model, a name of `project_models`."""
        return getattr(self, name)


def check_parameters(parameters: Mapping[str, Any], folders: list[Path]) -> Parameters:
    """Check all parameters at once.

    Args:
        parameters: The merged values of the configuration files and the command line.
        folders: The configuration folders in the order in which they were read, to find the file to correct.

    Returns:
        The typed parameters.

    Raises:
        ConfigError: One line for each wrong parameter, with its file, key, value and what is allowed.
    """
    try:
        return Parameters.model_validate(parameters)
    except ValidationError as error:
        # A value of several allowed kinds has one problem for each kind: one line for all of them.
        allowed: dict[tuple[str | int, ...], list[str]] = {}
        for problem in error.errors():
            keys = _existing(problem, parameters)
            words = _unknown(keys) if problem["type"] == "extra_forbidden" else plain_words(problem)
            allowed.setdefault(keys, []).append(words)
        lines = []
        for keys, kinds in allowed.items():
            source = _source(keys, parameters, folders)
            hint = (
                "; lists cannot be set with --params, but in a file in conf/local"
                if kinds == ["must be a list"]
                else ""
            )
            line = f"- {source}: {_shown(keys, parameters)}: {' or '.join(kinds)}"
            lines.append(line + (hint if source.startswith("--params") else ""))
        raise ConfigError("\n".join([f"{len(lines)} wrong parameter(s):", *lines])) from None


def _existing(problem: Mapping[str, Any], parameters: Any) -> tuple[str | int, ...]:
    """Return the keys of a problem without what pydantic puts between them (names of union members)."""
    keys: list[str | int] = []
    for part in problem["loc"]:
        known, inner = _value(parameters, [part])
        if known:
            parameters = inner
            keys.append(part)
    return (*keys, problem["loc"][-1]) if problem["type"] == "missing" else tuple(keys)


def _shown(keys: tuple[str | int, ...], parameters: Any) -> str:
    known, value = _value(parameters, keys)
    return ".".join(map(str, keys)) + (f" is {value!r}" if known else "")


def _unknown(keys: tuple[str | int, ...]) -> str:
    """Return suggestions for the last key, which is unknown: another place, the nearest name, or all names."""
    models: list[Any] = [Parameters]
    for key in keys[:-1]:
        fields = [model.model_fields[key] for model in models if key in model.model_fields]
        models = [part for field in fields for part in _models(field.annotation)] if fields else models
    names = sorted({name for model in models for name in model.model_fields})
    near = difflib.get_close_matches(str(keys[-1]), names, n=1)
    # A parameter in the wrong section, or of another version: suggest the one of the same model, if it has one.
    elsewhere = sorted(_places(str(keys[-1]), Parameters), key=lambda place: not place.startswith(f"{keys[0]}."))
    near = elsewhere[:1] if elsewhere and not near else near
    return f"there is no such parameter; {f'did you mean {near[0]}?' if near else 'allowed are ' + ', '.join(names)}"


def _places(name: str, model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Find a parameter's name in all sections, as `section.part.name`."""
    for key, field in model.model_fields.items():
        if key == name and prefix:
            yield prefix + key
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _places(name, field.annotation, f"{prefix}{key}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Find the models in an annotation, such as those of the members of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _source(keys: tuple[str | int, ...], parameters: Any, folders: list[Path]) -> str:
    """Return the file to correct: the last one read that contains the key or, if none does, its parent."""
    files = [file for folder in reversed(folders) for file in sorted(folder.rglob("parameters*/**/*.y*ml"))]
    known, value = _value(parameters, keys)
    # A key that exists, but in no file, comes from the command line.
    for length in range(len(keys), len(keys) - 1 if known else 0, -1):
        for file in files:
            found, content = _value(yaml.safe_load(file.read_text(encoding="utf-8")), keys[:length])
            if found:
                name = "/".join(file.parts[-4:])
                return f"--params (instead of {name})" if length == len(keys) and content != value else name
    return "--params"


def _value(content: Any, keys: Sequence[str | int]) -> tuple[bool, Any]:
    """Return the value at a path of keys in nested mappings and lists, if it exists."""
    for key in keys:
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError):
            return False, None
    return True, content
