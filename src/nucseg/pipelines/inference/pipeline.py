"""Pipeline inference: images without labels to nuclei in every format."""

from kedro.pipeline import Node, Pipeline

from nucseg.pipelines.inference.nodes import predict


def create_pipeline() -> Pipeline:
    """Build the pipeline: `inference_images` to `inference_results` and a summary."""
    return Pipeline(
        [
            Node(
                predict,
                inputs=["inference_images", "inference_results", "params:inference"],
                outputs="inference_summary",
                name="predict_new_images",
            )
        ],
        tags=["inference"],
    )
