"""The record of a run: everything that one needs to know where a model came from."""

import hashlib
import math
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import distributions
from typing import Any

from nucseg.core.package import FOLDER, VERSION
from nucseg.core.types import Sample

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


def run_record(
    samples: Sequence[Sample],
    *,
    parameters: Mapping[str, Any],
    seed: int,
    precision: str,
    device: str,
    history: Sequence[Mapping[str, float]],
    data_sha256: str,
    pretrained_run: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Collect what becomes `run.json`.

    Args:
        samples: All that the training saw: the train and val splits.
        parameters: Everything that was configured, as JSON types.
        seed: Random seed of weights, patches and augmentation.
        precision: In effect.
        device: On which the network was trained.
        history: One entry an epoch.
        data_sha256: See `data_digest`.
        pretrained_run: The record of the model that the training started from, if there is one.

    Returns:
        JSON types only. `validation` is for the scores that come later.
    """
    splits = sorted({sample.split for sample in samples})
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data_sha256": data_sha256,
        "splits": {split: sorted(s.key for s in samples if s.split == split) for split in splits},
        "parameters": dict(parameters),
        "seed": seed,
        "git_commit": git_commit(),
        "versions": {"nucseg": VERSION, "python": platform.python_version(), **_versions()},
        "precision": precision,
        "device": device,
        "history": [
            {key: value if math.isfinite(value) else None for key, value in entry.items()} for entry in history
        ],
        "validation": {},
        **({"pretrained_run": dict(pretrained_run)} if pretrained_run else {}),
    }


def data_digest(samples: Sequence[Sample]) -> str:
    """Compute the sha256 over the keys, splits, images and label images, whatever the samples' order and folders."""
    digest = hashlib.sha256()
    for sample in sorted(samples, key=lambda sample: sample.key):
        digest.update(f"{sample.key}\0{sample.split}\0".encode())
        for path in filter(None, (sample.image_path, sample.label_path)):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def git_commit() -> str | None:
    """Return the commit of the checkout that this package runs from, with `+changes` where files differ from it.

    None for an installed package, and where git is missing.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(FOLDER), *arguments], check=True, capture_output=True, text=True, timeout=30
        ).stdout.strip()

    try:
        if not git("ls-files", "__init__.py"):
            return None  # installed into an environment that lies in some other checkout
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", str(FOLDER)) else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _versions() -> dict[str, str]:
    installed = {distribution.name.lower(): distribution.version for distribution in distributions()}
    return {name: installed[name] for name in _PACKAGES if name in installed}
