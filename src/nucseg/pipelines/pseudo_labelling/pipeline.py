"""Pipeline pseudo_labelling: a few outlined areas to a model of semantic segmentation."""

from kedro.pipeline import Node, Pipeline

from nucseg.pipelines.pseudo_labelling.nodes import train_in_rounds


def create_pipeline() -> Pipeline:
    """Build the pipeline: the manifest and the augmenter of `semantic` to a model and the scores of its rounds."""
    return Pipeline(
        [
            Node(
                train_in_rounds,
                inputs=[
                    *("semantic.samples", "semantic.augmenter", "params:semantic.data_preprocessing"),
                    *("params:pseudo_labelling", "pseudo_labelling.training_folder"),
                ],
                outputs=["pseudo_labelling.model", "pseudo_labelling.rounds"],
                name="train_in_rounds",
            )
        ],
        tags=["pseudo_labelling"],
    )
