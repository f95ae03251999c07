"""A trained model as one folder: network, thresholds, preprocessing and the record of its training."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from nucseg.core.errors import ConfigError, ModelError
from nucseg.core.files import atomic_folder
from nucseg.images.preprocessing import Preprocessor
from nucseg.images.transforms import Normalize, Transform, parse_transforms
from nucseg.models.registry import is_stock, kind_of, model_class
from nucseg.models.run import RunRecord

_FORMAT = 1


@dataclass(frozen=True)
class ModelBundle:
    """Everything that a prediction needs.

    Attributes:
        name: Name of the model in tables and folders.
        model: The network with its thresholds, which implements the protocol of its task (`nucseg.models.protocols`).
        transforms: The preprocessing it was trained with.
        run: The record of the run that made it (`run.json`).
    """

    name: str
    model: Any
    transforms: tuple[Transform, ...]
    run: RunRecord = field(default_factory=RunRecord)

    def preprocessor(self) -> Preprocessor:
        """Return the preprocessing that the model was trained with."""
        return Preprocessor(self.transforms, self.model.in_channels)

    def save(self, folder: Path) -> None:
        """Write the model's folder; an older one is replaced only when the new one is complete.

        Args:
            folder: Gets `config.json`, `model.weights.h5`, `thresholds.json` and `run.json`.

        Raises:
            StorageError: It cannot be written.
        """
        with atomic_folder(folder) as temporary:
            self.model.save(temporary)
            config_file = temporary / "config.json"
            config = {
                "format": _FORMAT,
                "model": kind_of(self.model),
                "name": self.name,
                **json.loads(config_file.read_text()),
                "preprocessing": [transform.model_dump(mode="json") for transform in self.transforms],
            }
            config_file.write_text(json.dumps(config, indent=2))
            (temporary / "run.json").write_text(json.dumps(self.run.content(), indent=2, allow_nan=False))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model's folder, or one that the `stardist` package wrote; see `load_stock`.

        Raises:
            ModelError: It is missing, incomplete, of another format or of another kind.
        """
        remedy = "Fetch the model again (`dvc pull`), choose another folder or retrain it."
        try:
            config = json.loads((folder / "config.json").read_text())
            if not isinstance(config, dict):
                raise ValueError("config.json must contain one object")
            if is_stock(config):
                return cls(folder.name, _load_stock(folder), (Normalize(),))
            run = RunRecord.load(folder)
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"{folder}: not a complete model folder ({error}). {remedy}") from error
        missing = {"format", "model", "name", "preprocessing"} - set(config)
        if missing:
            raise ModelError(f"{folder / 'config.json'}: no {', '.join(sorted(missing))}: not a nucseg model. {remedy}")
        if config["format"] != _FORMAT:
            raise ModelError(
                f"{folder / 'config.json'}: format {config['format']} is not the {_FORMAT} that this version reads. "
                f"Use the version of nucseg that wrote it. {remedy}"
            )
        try:
            transforms = parse_transforms(config["preprocessing"])
        except ConfigError as error:
            raise ModelError(f"{folder / 'config.json'}: {error} {remedy}") from error
        return cls(config["name"], model_class(config["model"]).load(folder), transforms, run)


def _load_stock(folder: Path) -> Any:
    from nucseg.models.stardist.stock import load_stock  # TensorFlow, which not every model needs

    return load_stock(folder)
