"""What is known of a model without loading it."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nucseg.core.errors import ModelError
from nucseg.models.registry import MODELS, folder_kind, known_models, resolve_model
from nucseg.models.run import RunRecord
from nucseg.models.version import model_version

_HEADLINES = {
    "instance_segmentation": ("f1_50", "ap_mean_50_90"),
    "semantic_segmentation": ("mean_iou", "mean_dice"),
    "patch_classification": ("f1", "average_precision"),
}
"""Scores on the validation split that stand for a model, by task."""


@dataclass(frozen=True)
class ModelFacts:
    """One model.

    Attributes:
        name: Its name.
        kind: Its kind, such as `stardist`.
        version: See `model_version`.
        created: Date on which its training ended, or None.
        data: Number of images it was trained on, by dataset; with those of the model that it started from.
        scores: Its scores on the validation split.
        folder: Where it lies.
    """

    name: str
    kind: str
    version: str
    created: str | None
    data: dict[str, int]
    scores: dict[str, float]
    folder: Path


def model_facts(name_or_folder: str | Path) -> ModelFacts:
    """Read what is known of a model.

    Args:
        name_or_folder: As for `resolve_model`.

    Raises:
        ModelError: There is no such model, or it is damaged.
    """
    folder = resolve_model(name_or_folder)
    kind = folder_kind(folder)
    if kind is None:
        raise ModelError(f"{folder / 'config.json'}: not a nucseg model. Choose another folder.")
    run = RunRecord.load(folder)
    task = MODELS[kind].task
    overall: dict[str, Any] = run.validation.scores.get("overall", {})
    return ModelFacts(
        name=folder.name,
        kind=kind,
        version=model_version(folder),
        created=(run.created or "")[:10] or None,
        data=dict(sorted(Counter(key.split("/")[0] for key in run.images_seen().get("train", ())).items())),
        scores={metric: overall[metric] for metric in _HEADLINES[task] if overall.get(metric) is not None},
        folder=folder,
    )


def all_models() -> dict[str, ModelFacts | ModelError]:
    """Return what is known of each model that a name finds, or why it cannot be used, by name."""
    found: dict[str, ModelFacts | ModelError] = {}
    for name in known_models():
        try:
            found[name] = model_facts(name)
        except ModelError as error:
            found[name] = error
    return found
