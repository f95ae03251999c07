"""The graph of a patch classifier: from bytes to the calibrated probability."""

from collections.abc import Mapping

import tensorflow as tf

from nucseg.models.patch_classifier.model import PatchNetwork
from nucseg.sharing.graph import Citation, Graph, Output

_CITATIONS = {
    "lite": Citation(
        "Tan, Le (2019): EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. ICML.",
        "10.48550/arXiv.1905.11946",
    ),
    "small": Citation(
        "He, Zhang, Ren, Sun (2016): Identity Mappings in Deep Residual Networks. ECCV.", "10.1007/978-3-319-46493-0_38"
    ),
    "resnet50": Citation(
        "He, Zhang, Ren, Sun (2016): Deep Residual Learning for Image Recognition. CVPR.", "10.1109/CVPR.2016.90"
    ),
}


def graph(model: PatchNetwork) -> Graph:
    """Create the graph of a patch classifier, with its views and its temperature."""
    temperature = model.thresholds["temperature"]

    def run(patches: tf.Tensor) -> Mapping[str, tf.Tensor]:
        return {"probability": tf.sigmoid(model.mean_logits(patches) / temperature)[:, None]}

    other, wanted = model.classes
    return Graph(
        network=model.network,
        run=run,
        dtype="uint8",
        channels=model.in_channels,
        multiple=model.patch_size,
        side=model.patch_size,
        outputs=(Output("probability", "(N, 1)", f"calibrated probability that a patch shows: {wanted}"),),
        decoding=(
            f"A patch with a probability of at least {model.thresholds['probability']:g} is of the class {wanted}, "
            f"another one of the class {other}.",
        ),
        citations=(_CITATIONS[model.config.network],),
    )
