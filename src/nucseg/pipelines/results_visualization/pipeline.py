"""Pipeline results_visualization: pictures for each model under its namespace, and one report for all."""

import warnings
from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from nucseg.pipelines.results_visualization.nodes import draw, draw_differences, report

# The report stands beside the models' namespaces and reads from each of them on purpose.
warnings.filterwarnings("ignore", message="One or more dataset names contain '.'", category=UserWarning)

PARTS = ("metrics", "per_image", "run", "sizes", "overlays")
"""What the report takes of each model."""


def create_pipeline(models: Sequence[str]) -> Pipeline:
    """Build the pipeline: predictions and metrics of the models to `<model>.overlays` and `report`.

    Args:
        models: The models that stand side by side in the report.

    Returns:
        The pipeline; the report and, of several models, the pictures that compare them are in no namespace.
    """
    pictures = [
        Pipeline(
            [
                Node(
                    draw,
                    inputs=["candidates", "samples", "per_image", "params:results_visualization"],
                    outputs="overlays",
                    name="draw_overlays",
                )
            ],
            namespace=model,
            inputs={"samples"},
            parameters={"results_visualization"},
        )
        for model in models
    ]
    inputs = ["params:results_visualization", *(f"{model}.{part}" for model in models for part in PARTS)]
    page = [Node(report, inputs=inputs, outputs="report", name="write_report")]
    if len(models) > 1:
        parts = [f"{model}.{part}" for model in models for part in ("metrics", "per_image", "candidates")]
        page = [
            Node(
                draw_differences,
                inputs=["params:results_visualization", "samples", *parts],
                outputs=["differences", "compared"],
                name="draw_differences",
            ),
            Node(report, inputs=[*inputs, "compared"], outputs="report", name="write_report"),
        ]
    return Pipeline([*pictures, Pipeline(page)], tags=["results_visualization"])
