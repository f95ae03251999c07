"""The list of models, and the search for trained ones."""

import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from nucseg.core import package
from nucseg.core.errors import ConfigError, InputError, ModelError
from nucseg.core.validation import plain_words
from nucseg.models.protocols import Model
from nucseg.models.shipped import in_wheel, trained_or_shipped

MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
"""What a model may be called: its name is that of a folder, and part of longer ones."""


@dataclass(frozen=True)
class ModelEntry:
    """A kind of model.

    Attributes:
        task: Its task, which determines the protocol of the class.
        class_path: `module:class`, imported when it is used.
        config_path: `module:class` of its typed configuration.
        create_path: `module:function` that builds it, with initial weights, from that configuration.
        name: Name, in pipelines, parameters and folders, of the model of this kind that the project trains; None if it
            trains none.
    """

    task: Literal["instance_segmentation", "semantic_segmentation", "patch_classification"]
    class_path: str
    config_path: str
    create_path: str
    name: str | None = None


MODELS = {
    "stardist": ModelEntry(
        task="instance_segmentation",
        class_path="nucseg.models.stardist.model:StarDist",
        config_path="nucseg.models.stardist.config:StarDistConfig",
        create_path="nucseg.models.stardist.pretrained:create",
        name="stardist",
    ),
    "mask_rcnn": ModelEntry(
        task="instance_segmentation",
        class_path="nucseg.models.mask_rcnn.model:MaskRCNNSegmenter",
        config_path="nucseg.models.mask_rcnn.config:MaskRCNNConfig",
        create_path="nucseg.models.mask_rcnn.pretrained:create",
        name="mask_rcnn",
    ),
    "unet": ModelEntry(
        task="semantic_segmentation",
        class_path="nucseg.models.unet.model:UNet",
        config_path="nucseg.models.unet.config:UNetConfig",
        create_path="nucseg.models.unet.pretrained:create",
        name="unet",
    ),
    "deeplab": ModelEntry(
        task="semantic_segmentation",
        class_path="nucseg.models.deeplab.model:DeepLab",
        config_path="nucseg.models.deeplab.config:DeepLabConfig",
        create_path="nucseg.models.deeplab.pretrained:create",
        name="deeplab",
    ),
    "deeplab_graph": ModelEntry(
        task="semantic_segmentation",
        class_path="nucseg.models.deeplab.graph:PublishedDeepLab",
        config_path="nucseg.models.deeplab.config:DeepLabConfig",
        create_path="nucseg.models.deeplab.pretrained:create",
    ),
    "patch_classifier": ModelEntry(
        task="patch_classification",
        class_path="nucseg.models.patch_classifier.model:PatchNetwork",
        config_path="nucseg.models.patch_classifier.config:PatchClassifierConfig",
        create_path="nucseg.models.patch_classifier.pretrained:create",
        name="mitosis",
    ),
}


def project_models() -> dict[str, str]:
    """Return the models that the project trains: name to kind."""
    return {entry.name: kind for kind, entry in MODELS.items() if entry.name}


def model_class(kind: str) -> type[Any]:
    """Import the class of a kind of model.

    Raises:
        ModelError: There is no such kind.
    """
    return _import(_entry(kind).class_path)


def config_class(kind: str) -> type[BaseModel]:
    """Import the typed configuration of a kind of model.

    Raises:
        ModelError: There is no such kind.
    """
    return _import(_entry(kind).config_path)


def create_model(kind: str, parameters: Mapping[str, Any]) -> Any:
    """Build a model of a kind with its initial weights.

    Args:
        kind: A name in `MODELS`.
        parameters: The model's typed configuration as plain types (`<name>.architecture` in `model_config.yml`).

    Returns:
        The model, which implements the protocol of its task.

    Raises:
        ModelError: There is no such kind, or its initial weights belong to another kind.
        ConfigError: A parameter is wrong, or does not fit the initial weights.
        DownloadError: Published initial weights cannot be fetched.
    """
    entry = _entry(kind)
    try:
        config = config_class(kind).model_validate(parameters)
    except ValidationError as error:
        lines = [
            f"{'.'.join([entry.name or kind, 'architecture', *map(str, problem['loc'])])} is {problem['input']!r}: "
            f"{plain_words(problem)}"
            for problem in error.errors()
        ]
        raise ConfigError("\n".join(lines)) from None
    return _import(entry.create_path)(config)


def kind_of(model: Model) -> str:
    """Return the name under which a model's class is listed."""
    path = f"{type(model).__module__}:{type(model).__qualname__}"
    for kind, entry in MODELS.items():
        if entry.class_path == path:
            return kind
    raise ModelError(f"{path} is not a registered kind of model; add it to nucseg.models.registry.MODELS.")


def folder_kind(folder: Path) -> str | None:
    """Return the kind of the model in a folder; None where it cannot be read: loading the model says what is wrong."""
    config = _config(folder)
    kind = "stardist" if is_stock(config) else config.get("model")
    return kind if isinstance(kind, str) and kind in MODELS else None


def folder_task(folder: Path) -> str | None:
    """Return the task of the model in a folder; None as for `folder_kind`."""
    kind = folder_kind(folder)
    return MODELS[kind].task if kind else None


def is_stock(config: Mapping[str, Any]) -> bool:
    """Return whether the content of a model's `config.json` is one of the `stardist` package, not one of nucseg."""
    return "model" not in config and {"n_dim", "n_rays", "axes"} <= config.keys()


def is_stock_folder(folder: Path) -> bool:
    """Return whether a folder is one that the `stardist` package wrote."""
    return is_stock(_config(folder))


def _config(folder: Path) -> dict[str, Any]:
    """Read a model's `config.json`; empty where it cannot be read."""
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _entry(kind: str) -> ModelEntry:
    if kind not in MODELS:
        raise ModelError(f"model kind {kind!r} is unknown; allowed are {', '.join(MODELS)}.")
    return MODELS[kind]


def _import(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def resolve_model(name_or_folder: str | Path) -> Path:
    """Find the folder of a trained model.

    Searched in this order: the folder itself, `$NUCSEG_MODELS/NAME`, `data/06_models/NAME` of the working directory and
    of the checkout that holds this package (what was trained or pulled there, else the shipped version), and the models
    in the wheel. Never the demo's models.

    Args:
        name_or_folder: A model's folder or its name, such as `stardist`.

    Returns:
        A folder with a `config.json`.

    Raises:
        ModelError: There is none, or none can be looked for; the message says where it was searched for and how to get
            one.
        StorageError: A shipped model cannot be unpacked anywhere.
    """
    try:
        return _resolved(name_or_folder)
    except (OSError, RuntimeError) as error:  # the name is too long, or ~ stands for no user
        reason = getattr(error, "strerror", None) or error
        raise ModelError(
            f"model {str(name_or_folder)[:100]!r}: cannot be looked for ({reason}); give a model's name or its folder. "
            "`nucseg models` lists the names."
        ) from error


def _resolved(name_or_folder: str | Path) -> Path:
    name = Path(name_or_folder).expanduser()
    roots = _roots()
    places = list(dict.fromkeys([name, *(root / name for root in roots), in_wheel(name)]))
    for place in places:
        if (found := trained_or_shipped(place)) is not None:
            return found
    pointers = [root.with_name(f"{root.name}.dvc") for root in roots] + [
        place.with_name(f"{place.name}.dvc") for place in places if place.name
    ]
    for pointer in pointers:
        if pointer.is_file():
            raise ModelError(
                f"model {str(name_or_folder)!r} is versioned with DVC ({pointer}), but is neither checked out nor in "
                f"the bundled store: run `dvc pull` in {pointer.parent} (with `--remote s3` for a model in your "
                "bucket)."
            )
    known = known_models()
    listed = f"Known models are {', '.join(known)}; choose one of them," if known else "Choose"
    train = f", or train it with `kedro run --pipelines {name.name}`" if name.name in project_models() else ""
    raise ModelError(
        f"model {str(name_or_folder)!r}: no config.json in any of {', '.join(map(str, places))}. {listed} "
        f"a model's folder, or set NUCSEG_MODELS{train}."
    )


def resolve_models(names_or_folders: Sequence[str]) -> dict[str, Path]:
    """Find the folders of several models, by the name of the folder.

    Raises:
        InputError: Two have the same name.
        ModelError: As `resolve_model`, or a model is damaged.
    """
    folders: dict[str, Path] = {}
    for model in names_or_folders:
        folder = resolve_model(model)
        if folder.name in folders:
            raise InputError(f"two models are called {folder.name}; copy one to a folder of another name.")
        if folder_kind(folder) is None:
            raise ModelError(
                f"{folder / 'config.json'}: is damaged, or not of a nucseg model; fetch the model again (`dvc pull`), "
                "choose another folder or retrain it."
            )
        folders[folder.name] = folder
    return folders


def known_models() -> list[str]:
    """Return the names of the models that `resolve_model` finds, trained or shipped, in alphabetical order."""
    roots = _roots()
    trained = {folder.parent.name for root in roots for folder in root.glob("[!.]*/config.json")}
    shipped = {pointer.stem for root in roots for pointer in root.glob("[!.]*.dvc")}
    in_wheels = {folder.parent.name for folder in in_wheel("").glob("[!.]*/config.json")}
    return sorted(trained | shipped | in_wheels)


def models_folder() -> Path:
    """Return the folder that new models are written to: the first one in which names are searched for."""
    return _roots()[0]


def _roots() -> list[Path]:
    """Return the folders whose folders are models."""
    roots = [Path.cwd() / "data/06_models", package.FOLDER.parents[1] / "data/06_models"]
    if os.environ.get("NUCSEG_MODELS"):
        roots.insert(0, Path(os.environ["NUCSEG_MODELS"]).expanduser())
    return roots


def dated_name(start: str, folder: Path) -> str:
    """Return a name for a new model that was given none: of what it starts from and today's date.

    Args:
        start: Name of the kind of model, or of the model that it starts from.
        folder: The folder of the models, in which there is none of that name.
    """
    name = f"{start}-{date.today():%Y-%m-%d}"
    numbered = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
    return next(each for each in numbered if not (folder / each).exists())


def new_folder(name: str) -> Path:
    """Return the folder of a new model.

    Raises:
        ConfigError: It cannot be called so, or there is a model of this name.
    """
    if not re.fullmatch(MODEL_NAME, name):
        allowed = "letters, digits, '_', '.' and '-'"
        if re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            allowed = "at most 100 characters, the first one a letter or digit"
        raise ConfigError(f"--name: {name[:110]!r} is not allowed; use {allowed}.")
    folder = models_folder() / name
    if name in known_models() or folder.exists():
        raise ConfigError(
            f"--name: there is a model {name} already, and a training does not replace it; choose another."
        )
    return folder
