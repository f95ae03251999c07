"""The graph of a model of pixels: the probability of each class in each pixel."""

from collections.abc import Mapping

import tensorflow as tf

from nucseg.models.semantic.model import PixelClassifier
from nucseg.sharing.graph import Citation, Graph, Output

_UNET = Citation(
    "Ronneberger, Fischer, Brox (2015): U-Net: Convolutional Networks for Biomedical Image Segmentation. MICCAI.",
    "10.1007/978-3-319-24574-4_28",
)


def graph(model: PixelClassifier) -> Graph:
    """Create the graph of a U-Net of pixels."""
    network = model.network

    def run(images: tf.Tensor) -> Mapping[str, tf.Tensor]:
        return {"probability": tf.nn.softmax(tf.cast(network([images], training=False), tf.float32))}

    classes = ", ".join(f"{number} {name}" for number, name in enumerate(model.classes))
    return Graph(
        network=network,
        run=run,
        dtype="float32",
        channels=model.in_channels,
        multiple=model.stride,
        side=None,
        outputs=(Output("probability", f"(N, H, W, {len(model.classes)})", f"probability of each class: {classes}"),),
        decoding=("The class of a pixel is the one of the highest probability.",),
        citations=(_UNET,),
    )
