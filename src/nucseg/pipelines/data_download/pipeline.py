"""Pipeline data_download."""

from collections.abc import Callable

from kedro.pipeline import Node, Pipeline

from nucseg.pipelines.data_download.nodes import download, download_classes, download_points

_NODES: dict[str | None, Callable[..., dict[str, str]]] = {
    None: download,
    "patches": download_points,
    "semantic": download_classes,
}


def create_pipeline(section: str | None = None) -> Pipeline:
    """Build the pipeline: parameters to `archives`.

    Args:
        section: The section of a task, whose datasets are fetched.
    """
    return Pipeline(
        [
            Node(
                _NODES[section],
                inputs=["raw_folder", "params:data_download"],
                outputs="archives",
                name="download",
            )
        ],
        tags=["data_download"],
    )
