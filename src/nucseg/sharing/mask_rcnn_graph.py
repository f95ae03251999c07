"""The graph of a Mask R-CNN model: boxes, scores and masks of one image of a fixed size."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from nucseg.core.errors import ConfigError
from nucseg.models.mask_rcnn.model import MaskRCNNSegmenter
from nucseg.models.mask_rcnn.paste import SMALLEST_VISIBLE
from nucseg.sharing.graph import Citation, Graph, Output

SIDE = 512
"""Default side of the image in pixels."""


def graph(model: MaskRCNNSegmenter, *, side: int = SIDE) -> Graph:
    """Create the graph of a Mask R-CNN model.

    Args:
        model: The model.
        side: Side of the image, which is fixed since the boxes that the first stage starts from depend on it.

    Raises:
        ConfigError: The side is not a multiple of the model's stride, or too large for it.
    """
    config, network, thresholds = model.config, model.keras_model, model.thresholds
    if side % model.stride or not 0 < side <= model.max_side:
        raise ConfigError(f"--side: {side} is not a multiple of {model.stride} up to {model.max_side}.")
    anchors = network.anchors((side, side))

    def run(images: tf.Tensor) -> Mapping[str, tf.Tensor]:
        features, boxes, scores, levels = network.detect(images, tf.constant(anchors))
        masks = keras.ops.sigmoid(network.draw_masks(features, config.strides, boxes, levels))
        return {"boxes": boxes, "scores": scores, "masks": masks}

    count, size = config.proposals, 2 * config.mask_size
    return Graph(
        network=network,
        run=run,
        dtype="float32",
        channels=config.in_channels,
        multiple=model.stride,
        side=side,
        batch=1,
        outputs=(
            Output("boxes", f"(1, {count}, 4)", "top, left, bottom and right border of each box in pixels"),
            Output("scores", f"(1, {count})", "probability of a nucleus, decreasing; -1 where there is no box"),
            Output("masks", f"(1, {count}, {size}, {size})", "probability of each point of the enlarged box"),
        ),
        decoding=(
            f"Boxes with a score of at least {thresholds['score']:g} are candidates.",
            "Non-maximum suppression: by decreasing score, a box is dropped if its intersection over union with a "
            f"better one is above {thresholds['nms']:g}.",
            f"A mask fills its box after each side was moved outwards by {config.mask_margin:g} times the box's height "
            "or width. It is resampled to pixels bilinearly; a pixel belongs to the nucleus from a value of "
            f"{thresholds['mask']:g} on.",
            "By decreasing score, a nucleus gets the largest connected piece of what better ones left of its mask, "
            f"without holes; one that keeps less than {SMALLEST_VISIBLE:g} of its mask is dropped.",
        ),
        citations=(Citation("He, Gkioxari, Dollár, Girshick (2017): Mask R-CNN. ICCV.", "10.1109/ICCV.2017.322"),),
    )
