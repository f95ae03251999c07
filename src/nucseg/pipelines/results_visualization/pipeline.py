"""Pipeline results_visualization: pictures for each model under its namespace, and one report for all."""

import warnings
from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from nucseg.models.registry import project_models
from nucseg.pipelines.results_visualization.nodes import difference_drawer, drawer, reporter, sectioner
from nucseg.tasks import shared_names, task_of

# The report is outside the models' namespaces and deliberately reads from each of them.
warnings.filterwarnings("ignore", message="One or more dataset names contain '.'", category=UserWarning)


def create_pipeline(models: Sequence[str]) -> Pipeline:
    """Build the pipeline: predictions and metrics of the models to `<model>.overlays` and `report`.

    Args:
        models: The models that stand side by side in the report, of one task.

    Returns:
        The pipeline; the report and the pictures that compare the models are in no namespace.
    """
    task = task_of(models[0])
    named = shared_names(models[0], "results_visualization", "differences", "compared", "report")
    sections = [f"{model}.section" for model in models]
    page = [
        Node(
            difference_drawer(task),
            inputs=[f"params:{named['results_visualization']}", *sections],
            outputs=[named["differences"], named["compared"]],
            name="draw_differences",
        ),
        Node(reporter(task), inputs=[named["compared"], *sections], outputs=named["report"], name="write_report"),
    ]
    return Pipeline([*map(_of_model, models), Pipeline(page)], tags=["results_visualization"])


def _of_model(model: str) -> Pipeline:
    task = task_of(model)
    return Pipeline(
        [
            Node(
                drawer(task),
                inputs=["candidates", "samples", "per_image", "params:results_visualization"],
                outputs="overlays",
                name="draw_overlays",
            ),
            Node(
                sectioner(task, project_models()[model]),
                inputs=[
                    *("params:results_visualization", "samples", "candidates", "overlays", "run"),
                    *("metrics", "per_image", *task.TABLES),
                ],
                outputs="section",
                name="collect_section",
            ),
        ],
        namespace=model,
        inputs=shared_names(model, "samples"),
        parameters=shared_names(model, "results_visualization"),
    )
