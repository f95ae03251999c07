"""Pipeline data_download."""

from kedro.pipeline import Node, Pipeline

from nucseg.pipelines.data_download.nodes import download


def create_pipeline() -> Pipeline:
    """Build the pipeline: parameters to `archives`."""
    return Pipeline(
        [
            Node(
                download,
                inputs=["raw_folder", "params:data_download"],
                outputs="archives",
                name="download",
            )
        ],
        tags=["data_download"],
    )
