"""Pipeline model_evaluation, one for each model under the model's namespace."""

from kedro.pipeline import Node, Pipeline

from nucseg.pipelines.model_evaluation.nodes import describe, export, predict, score


def create_pipeline(model: str) -> Pipeline:
    """Build the pipeline of one model: `<model>.model` and `samples` to predictions and metrics.

    Args:
        model: The model's name, which becomes the namespace.

    Returns:
        The namespaced pipeline.
    """
    return Pipeline(
        [
            Node(describe, inputs="model", outputs="run", name="describe_model"),
            Node(
                predict,
                inputs=["model", "samples", "params:model_evaluation"],
                outputs=["predicted_labels", "candidates"],
                name="predict_test_split",
            ),
            Node(
                score,
                inputs=["candidates", "samples", "run", "params:model_evaluation"],
                outputs=["metrics", "per_image", "sizes"],
                name="score",
            ),
            Node(export, inputs=["candidates", "samples"], outputs=["submission", "coco"], name="export"),
        ],
        namespace=model,
        inputs={"samples"},
        parameters={"model_evaluation"},
        tags=["model_evaluation", "model_validation"],
    )
