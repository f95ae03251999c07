"""Pipeline model_evaluation, one for each model under the model's namespace."""

from kedro.pipeline import Node, Pipeline

from nucseg.pipelines.model_evaluation.nodes import describe, exporter, predictor, scorer
from nucseg.tasks import shared_names, task_of


def create_pipeline(model: str) -> Pipeline:
    """Build the pipeline of one model: `<model>.model` and `samples` to predictions and metrics.

    Args:
        model: The model's name, which becomes the namespace.

    Returns:
        The namespaced pipeline.
    """
    task = task_of(model)
    return Pipeline(
        [
            Node(describe, inputs="model", outputs="run", name="describe_model"),
            Node(
                predictor(task),
                inputs=["model", "samples", "params:model_evaluation"],
                outputs=["predicted_labels", "candidates"],
                name="predict_test_split",
            ),
            Node(
                scorer(task),
                inputs=["candidates", "samples", "params:model_evaluation", "run"],
                outputs=["metrics", "per_image", *task.TABLES],
                name="score",
            ),
            Node(exporter(task), inputs=["candidates", "samples"], outputs=list(task.EXPORTS), name="export"),
        ],
        namespace=model,
        inputs=shared_names(model, "samples"),
        parameters=shared_names(model, "model_evaluation"),
        tags=["model_evaluation", "model_validation"],
    )
