"""Both stages of Mask R-CNN as one Keras model, with the loss that trains them together."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from nucseg.models.mask_rcnn import losses
from nucseg.models.mask_rcnn.anchors import pyramid_anchors
from nucseg.models.mask_rcnn.backbone import build_backbone, build_pyramid
from nucseg.models.mask_rcnn.boxes import clip, decode, encode, enlarge, pairwise_iou
from nucseg.models.mask_rcnn.config import MaskRCNNConfig
from nucseg.models.mask_rcnn.heads import build_box_head, build_mask_head, build_rpn
from nucseg.models.mask_rcnn.mask_targets import crop_masks
from nucseg.models.mask_rcnn.proposals import RPN_BOX_STD, propose
from nucseg.models.mask_rcnn.roi_align import assign_levels, roi_align
from nucseg.models.mask_rcnn.sampling import IGNORED, match, sample

BOX_STD = (0.1, 0.2)
"""What the box head's codes of (position, size) are divided by."""

NEGATIVE_ANCHOR, IGNORED_ANCHOR = -1, -2
"""What stands for an anchor's true box where it has none: background, or not to be counted."""

LOSSES = ("rpn_score", "rpn_box", "score", "box", "mask")


class MaskRCNN(keras.Model):
    """Mask R-CNN with one class, the nucleus (He et al. 2017; Ren et al. 2015; Lin et al. 2017).

    Args:
        config: The architecture.
    """

    def __init__(self, config: MaskRCNNConfig) -> None:
        super().__init__(name="mask_rcnn")
        self.config = config
        self.pyramid = build_pyramid(build_backbone(config), config)
        self.rpn = build_rpn(config)
        self.box_head = build_box_head(config)
        self.mask_head = build_mask_head(config)
        self.seeds = keras.random.SeedGenerator()  # from the global seed; its state is among the variables
        self.trackers = [keras.metrics.Mean(name=f"{name}_loss") for name in LOSSES]
        self.built = True

    def call(self, images: Any, training: bool = False) -> dict[str, Any]:
        """Run the first stage.

        Args:
            images: `(N, h, w, in_channels)`, sides multiples of the largest stride.
            training: Whether batch normalisation learns, if there is any.

        Returns:
            `features`: one map per level, the finest first; `logits` `(N, A)` and `codes` `(N, A, 4)` of the anchors.
        """
        features = self.pyramid(images, training=training)
        outputs = [self.rpn(level, training=training) for level in features[self.config.anchor_level :]]
        logits, codes = (ops.concatenate(parts, axis=1) for parts in zip(*outputs, strict=True))
        return {"features": features, "logits": logits, "codes": codes}

    def anchors(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Return the anchors of an image of a size, in the order of the outputs of `call`."""
        return _anchors(self.config, shape)

    def score_boxes(self, features: Sequence[Any], proposals: Any, training: bool = False) -> tuple[Any, Any]:
        """Run the box head on proposals `(N, R, 4)`; return logits `(N, R)` and coded boxes `(N, R, 4)`."""
        config, finest = self.config, self.config.box_level
        levels = assign_levels(proposals, config.box_canonical, len(config.strides) - finest)
        regions = roi_align(features[finest:], config.strides[finest:], proposals, levels, config.box_size)
        logits, codes = self.box_head(ops.reshape(regions, (-1, *regions.shape[2:])), training=training)
        n_images, n_rois = ops.shape(proposals)[0], ops.shape(proposals)[1]
        return ops.reshape(logits, (n_images, n_rois)), ops.reshape(codes, (n_images, n_rois, 4))

    def draw_masks(
        self, features: Sequence[Any], strides: Sequence[Any], boxes: Any, levels: Any, training: bool = False
    ) -> Any:
        """Run the mask head on boxes `(N, R, 4)`, enlarged by the margin, each read from its level.

        Args:
            features: Some or all levels.
            strides: Strides of these levels.
            boxes: In pixels.
            levels: `(N, R)` int32, indices into `features`.
            training: Whether batch normalisation learns, if there is any.

        Returns:
            Logits `(N, R, size, size)`.
        """
        config = self.config
        around = enlarge(boxes, config.mask_margin)
        regions = roi_align(features, strides, around, levels, config.mask_size)
        logits = self.mask_head(ops.reshape(regions, (-1, *regions.shape[2:])), training=training)
        return ops.reshape(logits, (-1, ops.shape(boxes)[1], *logits.shape[1:]))

    def refine_boxes(self, features: Sequence[Any], proposals: Any, shape: Any) -> tuple[Any, Any, Any]:
        """Run the box head for prediction.

        Args:
            features: All levels.
            proposals: `(N, R, 4)`.
            shape: `(2,)` rows and columns of the images.

        Returns:
            The boxes `(N, R, 4)`, their scores `(N, R)` float32, and the level of the features from which each is
            drawn, `(N, R)` int32.
        """
        logits, codes = self.score_boxes(features, proposals)
        boxes = clip(decode(codes, proposals, BOX_STD), shape[0], shape[1])
        return boxes, ops.cast(ops.sigmoid(logits), "float32"), self.mask_levels(boxes)

    def mask_levels(self, boxes: Any) -> Any:
        """Choose the level of the features from which each of the boxes `(..., 4)` is drawn."""
        return assign_levels(boxes, self.config.mask_canonical, len(self.config.strides))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Compute the sum of the five losses (He et al. 2017, section 3); the second stage runs here.

        Args:
            x: Images.
            y: Their targets, as `nucseg.models.mask_rcnn.targets` computes them, with a batch axis.
            y_pred: What `call` returned.
            sample_weight: Not used.
            training: Whether proposals are sampled differently in each step.
        """
        boxes, labels, matches = y
        boxes = ops.cast(boxes, "float32")
        shape = (int(x.shape[1]), int(x.shape[2]))
        rpn_score, rpn_box = self._rpn_losses(y_pred, boxes, matches, ops.convert_to_tensor(self.anchors(shape)))
        score, box, mask = self._head_losses(y_pred, boxes, labels, shape, training)
        parts = (rpn_score, rpn_box, score, box, mask)
        for tracker, value in zip(self.trackers, parts, strict=True):
            tracker.update_state(value)
        return sum(parts)

    def _rpn_losses(self, outputs: Any, boxes: Any, matches: Any, anchors: Any) -> tuple[Any, Any]:
        positive = ops.cast(matches >= 0, "float32")
        counted = ops.cast(matches >= NEGATIVE_ANCHOR, "float32")
        n_positive = ops.maximum(ops.sum(positive), 1.0)
        score = ops.sum(losses.focal_loss(outputs["logits"], positive) * counted) / n_positive
        matched = ops.take_along_axis(boxes, ops.maximum(matches, 0)[..., None], axis=1)
        targets = encode(matched, anchors[None], RPN_BOX_STD)
        distance = losses.smooth_l1(outputs["codes"], targets, beta=1 / 9)
        return score, losses.weighted_mean(distance, positive)

    def _head_losses(self, outputs: Any, boxes: Any, labels: Any, shape: tuple[int, int], training: bool) -> Any:
        config = self.config
        proposals, valid = propose(
            outputs["logits"],
            outputs["codes"],
            ops.convert_to_tensor(self.anchors(shape)),
            shape,
            before=config.training_before_nms,
            after=config.training_proposals,
            nms_iou=config.rpn_nms,
        )
        # The true boxes are proposals too, so that the heads learn before the first stage finds anything.
        proposals = ops.concatenate([proposals, boxes], axis=1)
        valid = ops.concatenate([valid, boxes[..., 2] > boxes[..., 0]], axis=1)
        matches, kinds = match(pairwise_iou(boxes, proposals), config.roi_overlap, config.roi_overlap, force=False)
        # Validation always draws the same ones.
        keys = keras.random.uniform(ops.shape(valid), seed=self.seeds if training else 0)
        chosen, positive, weight = sample(
            ops.where(valid, kinds, IGNORED), keys, config.positive_rois, config.negative_rois
        )
        rois = ops.take_along_axis(proposals, chosen[..., None], axis=1)
        matches = ops.take_along_axis(matches, chosen, axis=1)
        logits, codes = self.score_boxes(outputs["features"], rois, training)
        score = losses.weighted_mean(losses.binary_cross_entropy(logits, ops.cast(positive, "float32")), weight)

        n_positive = config.positive_rois
        rois, matches, weight = rois[:, :n_positive], matches[:, :n_positive], weight[:, :n_positive]
        matched = ops.take_along_axis(boxes, matches[..., None], axis=1)
        targets = encode(matched, rois, BOX_STD)
        box = losses.weighted_mean(losses.smooth_l1(codes[:, :n_positive], targets, beta=1.0), weight)

        mask_logits = self.draw_masks(outputs["features"], config.strides, rois, self.mask_levels(rois), training)
        truth = crop_masks(labels, enlarge(rois, config.mask_margin), matches + 1, 2 * config.mask_size)
        per_mask = ops.mean(losses.binary_cross_entropy(mask_logits, truth), axis=(2, 3))
        return score, box, losses.weighted_mean(per_mask, weight)


@lru_cache(maxsize=8)
def _anchors(config: MaskRCNNConfig, shape: tuple[int, int]) -> NDArray[np.float32]:
    return pyramid_anchors(shape, config.strides[config.anchor_level :], config.anchor_sizes, config.anchor_ratios)
