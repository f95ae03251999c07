"""The graph of a Mask R-CNN model: boxes, scores and masks of one image of a fixed size."""

from collections.abc import Mapping, Sequence

import tensorflow as tf
from keras import ops

from nucseg.core.errors import ConfigError
from nucseg.models.mask_rcnn.model import MaskRCNNSegmenter
from nucseg.models.mask_rcnn.network import MaskRCNN
from nucseg.models.mask_rcnn.paste import SMALLEST_VISIBLE
from nucseg.models.mask_rcnn.proposals import best_of_cells, propose
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
        features, boxes, scores = _detect(network, images, tf.constant(anchors), (side, side))
        levels = network.mask_levels(boxes)
        masks = ops.sigmoid(network.draw_masks(features, config.strides, boxes, levels))
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
            f"There are at most {count} boxes, whatever the side: predict a larger image of many nuclei in parts of "
            f"{SIDE} x {SIDE} pixels.",
            f"Boxes with a score of at least {thresholds['score']:g} are candidates.",
            "Non-maximum suppression: by decreasing score, a box is dropped if its intersection over union with a "
            f"better one is above {thresholds['nms']:g}.",
            f"A mask fills its box after each side was moved outwards by {config.mask_margin:g} times the box's height "
            "or width. It is resampled to pixels bilinearly; a pixel belongs to the nucleus from a value of "
            f"{thresholds['mask']:g} on.",
            "By decreasing score, a nucleus gets the largest connected piece of what better ones left of its mask, "
            f"without holes; one that keeps less than {SMALLEST_VISIBLE:g} of its mask is dropped.",
            f"Nuclei of fewer than {thresholds['area']:g} pixels are dropped.",
        ),
        citations=(Citation("He, Gkioxari, Dollár, Girshick (2017): Mask R-CNN. ICCV.", "10.1109/ICCV.2017.322"),),
    )


def _detect(
    network: MaskRCNN, images: tf.Tensor, anchors: tf.Tensor, shape: tuple[int, int]
) -> tuple[Sequence[tf.Tensor], tf.Tensor, tf.Tensor]:
    """Return the features, and as many boxes and scores, decreasing, as there may be proposals; -1: there is none.

    What `MaskRCNNSegmenter` does, but with fixed shapes, as a graph needs them.
    """
    config, outputs = network.config, network(images)
    logits = best_of_cells(outputs["logits"], config.anchors_per_cell)
    proposals, valid = propose(
        ops.where(ops.sigmoid(logits) >= config.rpn_score, logits, -1e9),
        outputs["codes"],
        anchors,
        shape,
        before=config.before_nms,
        after=config.proposals,
        nms_iou=config.rpn_nms,
    )
    boxes, scores, _ = network.refine_boxes(outputs["features"], proposals, shape)
    scores, order = ops.top_k(ops.where(valid, scores, -1.0), config.proposals)
    return outputs["features"], ops.take_along_axis(boxes, order[..., None], axis=1), scores
