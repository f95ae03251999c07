"""Pipeline results_visualization: pictures for each model under its namespace, and one report for all."""

import warnings
from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from nucseg.pipelines.results_visualization.nodes import draw, draw_differences, report

# The report stands beside the models' namespaces and reads from each of them on purpose.
warnings.filterwarnings("ignore", message="One or more dataset names contain '.'", category=UserWarning)

PARTS = ("metrics", "per_image", "run", "sizes", "overlays")
"""What the report takes of each model."""

COMPARED = ("metrics", "per_image", "candidates")
"""What the comparison takes of each model."""


def create_pipeline(models: Sequence[str]) -> Pipeline:
    """Build the pipeline: predictions and metrics of the models to `<model>.overlays` and `report`.

    Args:
        models: The models that stand side by side in the report.

    Returns:
        The pipeline; the report and the pictures that compare the models are in no namespace.
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
    page = [
        Node(
            draw_differences,
            inputs=["params:results_visualization", "samples", *_of_each(models, COMPARED)],
            outputs=["differences", "compared"],
            name="draw_differences",
        ),
        Node(
            report,
            inputs=["params:results_visualization", "compared", *_of_each(models, PARTS)],
            outputs="report",
            name="write_report",
        ),
    ]
    return Pipeline([*pictures, Pipeline(page)], tags=["results_visualization"])


def _of_each(models: Sequence[str], parts: Sequence[str]) -> list[str]:
    return [f"{model}.{part}" for model in models for part in parts]
