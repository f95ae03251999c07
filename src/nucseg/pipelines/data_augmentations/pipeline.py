"""Pipeline data_augmentations."""

from kedro.pipeline import Node, Pipeline

from nucseg.pipelines.data_augmentations.nodes import define_augmenter, preview


def create_pipeline() -> Pipeline:
    """Build the pipeline: parameters to `augmenter`, and `samples` to `augmentation_preview`."""
    return Pipeline(
        [
            Node(
                define_augmenter,
                inputs="params:data_augmentations",
                outputs="augmenter",
                name="define_augmenter",
            ),
            Node(
                preview,
                inputs=["augmenter", "samples"],
                outputs="augmentation_preview",
                name="preview_augmentations",
            ),
        ],
        tags=["data_augmentations"],
    )
