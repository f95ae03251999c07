"""Pipeline data_download."""

from kedro.pipeline import Node, Pipeline

from nucseg.pipelines.data_download.nodes import download, download_points


def create_pipeline(*, of_points: bool = False) -> Pipeline:
    """Build the pipeline: parameters to `archives`.

    Args:
        of_points: Whether the datasets are of annotated points.
    """
    return Pipeline(
        [
            Node(
                download_points if of_points else download,
                inputs=["raw_folder", "params:data_download"],
                outputs="archives",
                name="download",
            )
        ],
        tags=["data_download"],
    )
