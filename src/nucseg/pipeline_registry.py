"""The pipelines by name: the six stages, one pipeline per model, and the whole."""

from kedro.pipeline import Pipeline

from nucseg.models.registry import project_models
from nucseg.pipelines import (
    data_augmentations,
    data_download,
    data_processing,
    inference,
    model_evaluation,
    model_training,
    results_visualization,
)


def register_pipelines() -> dict[str, Pipeline]:
    """Build every pipeline that `kedro run --pipelines NAME` knows.

    Returns:
        The six stages (with all models), all stages for one model under the model's name, `inference` for new images,
        and `__default__` (without `inference`).
    """
    data = {
        "data_download": data_download.create_pipeline(),
        "data_processing": data_processing.create_pipeline(),
        "data_augmentations": data_augmentations.create_pipeline(),
    }
    models = list(project_models())
    training = {model: model_training.create_pipeline(model) for model in models}
    evaluation = {model: model_evaluation.create_pipeline(model) for model in models}
    stages = data | {
        "model_training": sum(training.values(), Pipeline([])),
        "model_evaluation": sum(evaluation.values(), Pipeline([])),
        "results_visualization": results_visualization.create_pipeline(models),
    }
    whole = {
        model: sum(data.values(), Pipeline([]))
        + training[model]
        + evaluation[model]
        + results_visualization.create_pipeline([model])
        for model in models
    }
    new_images = {"inference": inference.create_pipeline()}
    return stages | whole | new_images | {"__default__": sum(stages.values(), Pipeline([]))}
