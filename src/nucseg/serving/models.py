"""The models that the service offers: found by name, loaded when they are asked for, few at a time."""

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nucseg.core.errors import ModelError
from nucseg.models.registry import folder_kind, known_models, project_models, resolve_model
from nucseg.models.run import RunRecord
from nucseg.models.version import model_version
from nucseg.serving.answers import Answers, answers_for
from nucseg.serving.answers.served import ServedModel
from nucseg.serving.errors import UnknownModelError

_log = logging.getLogger(__name__)
_KIND = "stardist"  # where the default model does not say it: it will not be ready, whatever is assumed


def answers_of(name_or_folder: str | Path) -> Answers:
    """Return what goes over the wire of a server with this default model.

    Raises:
        ModelError: The model does not exist.
    """
    return answers_for(folder_kind(resolve_model(name_or_folder)) or _KIND)


class ModelStore:
    """The models of one contract, by name; safe to use from several threads.

    Args:
        default: Name or folder of the model used if none is named.
        load: Creates a predictor from a model's folder.
        loaded: Maximum number of models kept in memory; the least recently used is dropped first.

    Attributes:
        default: Name of the default model.
        answers: What goes over the wire for models of its kind.

    Raises:
        ModelError: The default model does not exist.
    """

    def __init__(self, default: str, load: Callable[[Path], ServedModel], loaded: int = 2) -> None:
        self._default_folder = resolve_model(default).resolve()
        self.default = self._default_folder.name
        self.answers = answers_of(self._default_folder)
        self._load = load
        self._limit = loaded
        self._loaded: OrderedDict[str, ServedModel] = OrderedDict()
        self._lock = threading.Lock()
        self._versions: dict[Path, str] = {}

    def names(self) -> list[str]:
        """List the models of the default one's contract, the default one first."""
        more = {*project_models(), *known_models()}
        return [self.default, *sorted(name for name in more - {self.default} if self._offered(name))]

    def folder(self, name: str | None) -> Path:
        """Return the folder of a model; only names that `names` lists are looked for, so no name is used as a path.

        Raises:
            UnknownModelError: There is no model with this name.
        """
        if name is None or name == self.default:
            return self._default_folder
        if name not in self.names():
            raise UnknownModelError(f"model {name[:100]!r} is unknown; GET /models lists the available ones.")
        return resolve_model(name)

    def predictor(self, name: str | None = None) -> ServedModel:
        """Return a model that is ready to predict, loading it if needed.

        Raises:
            UnknownModelError: There is no model with this name.
            ModelError: It is incomplete.
        """
        folder = self.folder(name)
        key = str(folder)
        with self._lock:
            if key not in self._loaded:
                _log.info("Loading the model %s.", folder.name)
                self._loaded[key] = self._load(folder)
            self._loaded.move_to_end(key)
            while len(self._loaded) > self._limit:
                self._loaded.popitem(last=False)
            return self._loaded[key]

    def version(self, name: str | None = None) -> str:
        """Return the version of a model; see `model_version`."""
        folder = self.folder(name)
        if folder not in self._versions:
            self._versions[folder] = model_version(folder)
        return self._versions[folder]

    def classes(self, name: str | None = None) -> Sequence[str]:
        """Return the names of the classes that a model finds.

        Raises:
            UnknownModelError: There is no model with this name.
            ModelError: It is incomplete.
        """
        folder = self.folder(name)
        try:
            config = json.loads((folder / "config.json").read_text())
            if not isinstance(config, dict):
                raise ValueError("config.json must contain one object")
            return self.answers.classes(config)
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise ModelError(_incomplete(folder)) from error

    def metadata(self, name: str | None = None) -> dict[str, Any]:
        """Describe a model: the six facts that clients of the MAX service know, and where it comes from.

        Raises:
            UnknownModelError: There is no model with this name.
            ModelError: It is incomplete.
        """
        folder = self.folder(name)
        classes = self.classes(name)
        try:
            run = RunRecord.load(folder)
        except (ModelError, OSError, ValueError, RecursionError) as error:
            raise ModelError(_incomplete(folder)) from error
        splits = run.images_seen()
        datasets = [_dataset(name) for name in sorted({key.split("/")[0] for keys in splits.values() for key in keys})]
        return {
            **self.answers.max_facts({each["name"]: each["title"] for each in datasets}, classes),
            "model": folder.name,
            "kind": folder_kind(folder),
            "version": self.version(name),
            "created": run.created,
            "training_data": {
                "datasets": datasets,
                "images": {split: len(keys) for split, keys in splits.items()},
                "sha256": run.data_sha256,
            },
            "scores": run.content().get("validation", {}),
        }

    def _offered(self, name: str) -> bool:
        try:
            kind = folder_kind(resolve_model(name))
            return kind is None or answers_for(kind) is self.answers
        except ModelError:
            return False


def _incomplete(folder: Path) -> str:
    return f"model {folder.name}: not a complete model folder; fetch it again."


def _dataset(name: str) -> dict[str, Any]:
    from nucseg.datasets import DATASETS  # it takes a while, and few ask for it

    info = DATASETS[name].INFO if name in DATASETS else None
    return {
        "name": name,
        "title": info.title if info else name,
        "license": info.licence if info else None,
        "source": info.homepage if info else None,
    }
