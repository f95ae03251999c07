"""What the record of a run (`run.json`) says of the images that a model has seen."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nucseg.core.errors import ModelError


def earlier_run(pretrained: str | None) -> dict[str, Any] | None:
    """Read the record of the model that a training starts from.

    Args:
        pretrained: What the configuration says: a model folder, the name of published weights or None.

    Returns:
        Its `run.json`; None where there is none.

    Raises:
        ModelError: The file is damaged.
    """
    path = Path(pretrained or "") / "run.json"
    if pretrained is None or not path.is_file():
        return None
    try:
        run: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise ModelError(f"{path}: damaged ({error}). Fetch the model again (`dvc pull`) or retrain it.") from error
    return run


def images_seen(run: Mapping[str, Any] | None) -> dict[str, set[str]]:
    """Collect the images of each split that a model, or the one it started from, has seen.

    Args:
        run: A record; `pretrained_run` in it is the earlier model's.

    Returns:
        Sample keys by the name of the split.
    """
    if not run:
        return {}
    seen = images_seen(run.get("pretrained_run"))
    for split, keys in run.get("splits", {}).items():
        seen[split] = seen.get(split, set()) | set(keys)
    return seen
