"""Pipeline data_processing."""

from kedro.pipeline import Node, Pipeline

from nucseg.pipelines.data_processing.nodes import convert, split


def create_pipeline() -> Pipeline:
    """Build the pipeline: `archives` to `images`, `labels`, `rejected` and the manifest `samples`."""
    return Pipeline(
        [
            Node(
                convert,
                inputs=["archives", "params:data_preprocessing"],
                outputs=["images", "labels", "converted", "rejected"],
                name="convert",
            ),
            Node(
                split,
                inputs=["converted", "params:data_preprocessing"],
                outputs="samples",
                name="split",
            ),
        ],
        tags=["data_processing"],
    )
