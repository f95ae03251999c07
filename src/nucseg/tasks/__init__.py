"""Bindings of a task to its truth, metrics, pictures and files, one module per task, without logic of their own."""

from collections.abc import Mapping

from nucseg.models.registry import MODELS, project_models
from nucseg.tasks import instances, patches, semantic
from nucseg.tasks.base import Task

TASKS: Mapping[str, Task] = {
    "instance_segmentation": instances,
    "semantic_segmentation": semantic,
    "patch_classification": patches,
}
"""The module of each task, by the name that `ModelEntry.task` calls it."""


def task_of(model: str) -> Task:
    """Return the task of a model, a name of `nucseg.models.registry.project_models`."""
    return TASKS[MODELS[project_models()[model]].task]


def shared_names(model: str, *names: str) -> dict[str, str]:
    """Return what a model's pipeline calls names that it shares with other models of its task: the names in full."""
    section = task_of(model).SECTION
    return {name: f"{section}.{name}" if section else name for name in names}
