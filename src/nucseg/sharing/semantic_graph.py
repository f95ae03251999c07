"""The graph of a model of pixels: the probability of each class in each pixel."""

from collections.abc import Mapping

import tensorflow as tf

from nucseg.models.registry import kind_of
from nucseg.models.semantic.model import PixelClassifier
from nucseg.sharing.graph import Citation, Graph, Output

_CITATIONS = {
    "unet": Citation(
        "Ronneberger, Fischer, Brox (2015): U-Net: Convolutional Networks for Biomedical Image Segmentation. MICCAI.",
        "10.1007/978-3-319-24574-4_28",
    ),
    "deeplab": Citation(
        "Chen, Zhu, Papandreou, Schroff, Adam (2018): Encoder-Decoder with Atrous Separable Convolution for Semantic "
        "Image Segmentation. ECCV.",
        "10.1007/978-3-030-01234-2_49",
    ),
}


def graph(model: PixelClassifier) -> Graph:
    """Create the graph of a U-Net or DeepLab of pixels."""
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
        citations=(_CITATIONS[kind_of(model)],),
    )
