"""Pipeline model_training, one for each model under the model's namespace."""

from kedro.pipeline import Node, Pipeline

from nucseg.pipelines.model_training.nodes import mine, retrainer, trainer, tuner
from nucseg.tasks import shared_names, task_of


def create_pipeline(model: str) -> Pipeline:
    """Build the pipeline of one model: `samples` and `augmenter` to `<model>.model`.

    Args:
        model: A name of `nucseg.models.registry.project_models`, which becomes the namespace.

    Returns:
        The namespaced pipeline.
    """
    task = task_of(model)
    inputs = [
        *("samples", "augmenter", "params:data_preprocessing", "params:architecture", "params:sampling"),
        *("params:training", "training_folder"),
    ]
    nodes = [Node(trainer(model), inputs=inputs, outputs="trained", name="train")]
    if task.MINES:
        nodes += [
            Node(mine, inputs=["trained", "samples", "params:sampling"], outputs="mined", name="mine_negatives"),
            Node(retrainer(model), inputs=["trained", "mined", *inputs], outputs="retrained", name="retrain"),
        ]
    last = "retrained" if task.MINES else "trained"
    nodes.append(Node(tuner(task), inputs=[last, "samples"], outputs="model", name="tune_thresholds"))
    return Pipeline(
        nodes,
        namespace=model,
        inputs=shared_names(model, "samples", "augmenter"),
        parameters=shared_names(model, "data_preprocessing"),
        tags=["model_training"],
    )
