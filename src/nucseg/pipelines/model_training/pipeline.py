"""Pipeline model_training, one for each model under the model's namespace."""

from kedro.pipeline import Node, Pipeline

from nucseg.pipelines.model_training.nodes import trainer, tuner
from nucseg.tasks import shared_names, task_of


def create_pipeline(model: str) -> Pipeline:
    """Build the pipeline of one model: `samples` and `augmenter` to `<model>.model`.

    Args:
        model: A name of `nucseg.models.registry.project_models`, which becomes the namespace.

    Returns:
        The namespaced pipeline.
    """
    return Pipeline(
        [
            Node(
                trainer(model),
                inputs=[
                    "samples",
                    "augmenter",
                    "params:data_preprocessing",
                    "params:architecture",
                    "params:sampling",
                    "params:training",
                    "training_folder",
                ],
                outputs="trained",
                name="train",
            ),
            Node(tuner(task_of(model)), inputs=["trained", "samples"], outputs="model", name="tune_thresholds"),
        ],
        namespace=model,
        inputs=shared_names(model, "samples", "augmenter"),
        parameters=shared_names(model, "data_preprocessing"),
        tags=["model_training"],
    )
