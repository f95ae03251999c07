"""The record of a run (`run.json`): everything needed to trace where a model came from."""

import hashlib
import json
import math
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nucseg.core.errors import ModelError
from nucseg.core.package import FOLDER, VERSION
from nucseg.core.types import Precision, Sample
from nucseg.core.validation import plain_words
from nucseg.models.registry import is_stock_folder
from nucseg.models.sizes import TrainedSizes

_PACKAGES = (
    "albumentations",
    "kedro",
    "keras",
    "numpy",
    "opencv-python-headless",
    "scikit-image",
    "scipy",
    "stardist",
    "tensorflow",
)


class _Record(BaseModel):
    """Fields that later or earlier versions wrote are kept."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True, serialize_by_alias=True)


class RunParameters(_Record):
    """Everything that was configured.

    Attributes:
        model: Architecture and initial weights.
        training: Patches, optimizer and schedule; None if the pretrained weights were kept.
        sampling: Which patches were drawn.
        preprocessing: The transforms.
        augmentation: The augmenter, or None.
    """

    model: dict[str, Any] = {}
    training: dict[str, Any] | None = None
    sampling: dict[str, Any] | None = None
    preprocessing: list[dict[str, Any]] = []
    augmentation: dict[str, Any] | None = None


class Validation(_Record):
    """Thresholds and scores on the val split.

    Attributes:
        thresholds: Thresholds chosen on it.
        n_images: Its images.
        scores: `overall` and `by_modality`, see `nucseg.training.scores`.
    """

    thresholds: dict[str, float] = {}
    n_images: int = 0
    scores: dict[str, Any] = {}


class RunRecord(_Record):
    """The record of a run. Folders of older versions may lack any field.

    Attributes:
        created: Date and time, ISO 8601.
        data_sha256: See `data_digest`.
        splits: Keys of the samples that the training saw, by the name of the split.
        parameters: Everything that was configured.
        seed: Random seed of weights, patches and augmentation.
        git_commit: See `git_commit`.
        versions: Versions of Python and packages.
        precision: The one in effect.
        device: On which the network was trained.
        history: One entry per epoch; None stands for what is not finite.
        validation: Thresholds and scores on the val split.
        parent_run: The record of the model that the training started from (`pretrained_run` in the file).
    """

    created: str | None = None
    data_sha256: str | None = None
    splits: dict[str, list[str]] = {}
    parameters: RunParameters = RunParameters()
    seed: int | None = None
    git_commit: str | None = None
    versions: dict[str, str] = {}
    precision: Precision = "auto"
    device: str | None = None
    history: list[dict[str, int | float | None]] = []
    validation: Validation = Validation()
    parent_run: "RunRecord | None" = Field(None, alias="pretrained_run")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `run.json` of a model's folder; a folder of the `stardist` package has none, and gives an empty record.

        Raises:
            ModelError: It is missing or damaged.
        """
        if is_stock_folder(folder):
            return cls()
        remedy = "Fetch the model again (`dvc pull`), choose another folder or retrain it."
        try:
            return cls.model_validate(json.loads((folder / "run.json").read_text("utf-8")))
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(map(str, problem["loc"])) or "its content"
            raise ModelError(
                f"{folder}: not a complete model folder (run.json: {key} {plain_words(problem)}). {remedy}"
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"{folder}: not a complete model folder (run.json: {error}). {remedy}") from error

    def content(self) -> dict[str, Any]:
        """Return what `run.json` holds: JSON types, only the keys that the record was created with."""
        return self.model_dump(mode="json", exclude_unset=True)

    def ancestry(self) -> "list[RunRecord]":
        """Return the record, that of the model that the training started from, and so on back."""
        return [self, *(self.parent_run.ancestry() if self.parent_run else [])]

    def sizes(self) -> TrainedSizes:
        """Return the sizes of nuclei that the training showed.

        The training is that of the model that a run kept as it was, if it did.
        """
        trained = next((run for run in self.ancestry() if run.parameters.training), self)
        sampling = trained.parameters.sampling or {}
        diameters, enlarge = (_pair(sampling.get(name)) for name in ("diameters", "enlarge"))
        return TrainedSizes(diameters, enlarge) if enlarge else TrainedSizes(diameters)

    def images_seen(self) -> dict[str, set[str]]:
        """Return the keys of the samples that the model, or a model that it started from, has seen, by split."""
        seen: dict[str, set[str]] = {}
        for run in reversed(self.ancestry()):
            for split, keys in run.splits.items():
                seen[split] = seen.get(split, set()) | set(keys)
        return seen


def _pair(values: Any) -> tuple[float, float] | None:
    match values:
        case [int() | float() as first, int() | float() as second]:
            return float(first), float(second)
    return None


def load_parent_run(pretrained: str | None) -> RunRecord | None:
    """Load the record of the model that a training starts from.

    Args:
        pretrained: The configured value: a model folder, the name of published weights, or None.

    Returns:
        Its record; None if there is none.

    Raises:
        ModelError: The file is damaged.
    """
    folder = Path(pretrained or "")
    return RunRecord.load(folder) if pretrained is not None and (folder / "run.json").is_file() else None


def create_run_record(
    samples: Sequence[Sample],
    *,
    parameters: Mapping[str, Any],
    seed: int,
    precision: Precision,
    device: str,
    history: Sequence[Mapping[str, float]],
    data_sha256: str,
    parent_run: RunRecord | None,
) -> RunRecord:
    """Create the record of a training that has just ended; `validation` is for the scores that come later.

    Args:
        samples: All samples that the training saw: the train and val splits.
        parameters: Fields of `RunParameters`, as JSON types.
        seed: As in `RunRecord`.
        precision: The one in effect.
        device: On which the network was trained.
        history: One entry per epoch.
        data_sha256: See `data_digest`.
        parent_run: The record of the model that the training started from, if there is one.
    """
    splits = sorted({sample.split for sample in samples})
    return RunRecord(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        data_sha256=data_sha256,
        splits={split: sorted(s.key for s in samples if s.split == split) for split in splits},
        parameters=RunParameters(**parameters),
        seed=seed,
        git_commit=git_commit(),
        versions={"nucseg": VERSION, "python": platform.python_version(), **_versions()},
        precision=precision,
        device=device,
        history=[{key: value if math.isfinite(value) else None for key, value in entry.items()} for entry in history],
        validation=Validation(),
        **({"pretrained_run": parent_run} if parent_run else {}),
    )


def data_digest(samples: Sequence[Sample]) -> str:
    """Return the sha256 over the keys, splits, images and label images, whatever the samples' order and folders."""
    digest = hashlib.sha256()
    for sample in sorted(samples, key=lambda sample: sample.key):
        digest.update(f"{sample.key}\0{sample.split}\0".encode())
        for path in filter(None, (sample.image_path, sample.label_path)):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def git_commit() -> str | None:
    """Return the commit of the checkout that this package runs from, with `+changes` if files differ from it.

    None for an installed package, and if git is missing.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(FOLDER), *arguments], check=True, capture_output=True, text=True, timeout=30
        ).stdout.strip()

    try:
        if not git("ls-files", "__init__.py"):
            return None  # installed into an environment inside some other checkout
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", str(FOLDER)) else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _versions() -> dict[str, str]:
    installed = {distribution.name.lower(): distribution.version for distribution in distributions()}
    return {name: installed[name] for name in _PACKAGES if name in installed}
