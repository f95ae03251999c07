"""The pipelines by name: the six stages, one pipeline per model and per further task, and the whole."""

from collections.abc import Sequence

from kedro.pipeline import Pipeline

from nucseg.models.registry import project_models
from nucseg.pipelines import (
    data_augmentations,
    data_download,
    data_processing,
    inference,
    model_evaluation,
    model_training,
    pseudo_labelling,
    results_visualization,
)
from nucseg.tasks import TASKS, task_of


def register_pipelines() -> dict[str, Pipeline]:
    """Build every pipeline that `kedro run --pipelines NAME` knows.

    Returns:
        The six stages (with all models that segment nuclei), all stages for one model under the model's name, all
        stages and models of a further task under the name of its section, `pseudo_labelling` for a model from a few
        outlined areas, `inference` for new images, and `__default__` (the six stages).
    """
    models = list(project_models())
    by_section = {task.SECTION: [name for name in models if task_of(name) is task] for task in TASKS.values()}
    nuclei = by_section.pop(None)
    stages = _data(None) | {
        "model_training": sum(map(model_training.create_pipeline, nuclei), Pipeline([])),
        "model_evaluation": sum(map(model_evaluation.create_pipeline, nuclei), Pipeline([])),
        "results_visualization": results_visualization.create_pipeline(nuclei),
    }
    whole = {name: _whole([name]) for name in models} | {
        section: _whole(names) for section, names in by_section.items() if section and names
    }
    in_rounds = _data("semantic")["semantic"] + pseudo_labelling.create_pipeline()
    new_images = {"inference": inference.create_pipeline(), "pseudo_labelling": in_rounds}
    return stages | whole | new_images | {"__default__": sum(stages.values(), Pipeline([]))}


def _data(section: str | None) -> dict[str, Pipeline]:
    """Build the pipelines up to the manifest and the augmenter, in the section of a task."""
    stages = {
        "data_download": data_download.create_pipeline(section),
        "data_processing": data_processing.create_pipeline(),
        "data_augmentations": data_augmentations.create_pipeline(),
    }
    if section is None:
        return stages
    whole = Pipeline(sum(stages.values(), Pipeline([])), namespace=section, inputs={"raw_folder"})
    return {section: whole}


def _whole(models: Sequence[str]) -> Pipeline:
    """Build all stages for models of one task, from the download to the report."""
    parts = [*_data(task_of(models[0]).SECTION).values()]
    for name in models:
        parts += [model_training.create_pipeline(name), model_evaluation.create_pipeline(name)]
    return sum([*parts, results_visualization.create_pipeline(models)], Pipeline([]))
