"""Mask R-CNN as an instance segmenter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from pathlib import Path
from threading import Lock
from typing import Self

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.placement import SAME, Placement
from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.images.intensity import is_constant
from nucseg.models.files import read_files, write_files
from nucseg.models.mask_rcnn.backbone import receptive_radius
from nucseg.models.mask_rcnn.boxes import enlarge
from nucseg.models.mask_rcnn.compiled import compiled
from nucseg.models.mask_rcnn.config import MaskRCNNConfig
from nucseg.models.mask_rcnn.network import MaskRCNN
from nucseg.models.mask_rcnn.paste import draw_instances
from nucseg.models.mask_rcnn.proposals import best_of_cells, kept_boxes, select
from nucseg.models.mask_rcnn.targets import make_targets
from nucseg.models.tuning import SCORES, search_thresholds

_BOXES_AT_ONCE, _MASKS_AT_ONCE = 1024, 256  # bounds the memory
_BOXES_STEP, _MASKS_STEP = 64, 8  # always a multiple of it, so that few sizes are compiled
_FIELD = 512 * 512  # pixels for which the maximum numbers of the configuration are meant
_GRID = {"nms": (0.3, 0.4, 0.5, 0.6), "mask": (0.4, 0.45, 0.5, 0.55, 0.6), "score": SCORES}


@dataclass(frozen=True)
class Detections:
    """K nuclei of one image, as predicted by the network.

    Attributes:
        boxes: `(K, 4)` float32.
        scores: `(K,)` float32, decreasing.
        masks: `(K, size, size)` float32 in [0, 1], filling the boxes enlarged by the margin.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    masks: NDArray[np.float32]

    def take(self, which: NDArray) -> "Detections":
        """Return a selection; `which` contains indices, or for each detection whether it is kept."""
        return Detections(self.boxes[which], self.scores[which], self.masks[which])

    def ordered(self) -> "Detections":
        """Sort by decreasing score, equal scores (frequent in bfloat16) by position, so that tiles do not matter."""
        return self.take(np.lexsort((self.boxes[:, 1], self.boxes[:, 0], -self.scores)))


class MaskRCNNSegmenter:
    """A Mask R-CNN model with weights and thresholds.

    Args:
        config: The architecture; `pretrained` only determines whether batch normalisation is frozen.
    """

    def __init__(self, config: MaskRCNNConfig) -> None:
        self.config = config
        self.in_channels = config.in_channels
        self.stride = config.strides[-1]
        # The context that a box needs, for nuclei that extend half a typical large one beyond the core of the tile.
        self.halo = -(-(receptive_radius(config) + 32) // self.stride) * self.stride
        self.max_side = 1024 + 2 * self.halo
        self.thresholds = {"score": 0.5, "nms": 0.5, "mask": 0.5, "area": 0.0}
        self.keras_model = MaskRCNN(config)
        self._first_stage = compiled(self._find_anchors)
        self._refine_boxes = compiled(self.keras_model.refine_boxes)
        self._draw = compiled(self._draw_from_level)
        self._network_is_free = Lock()

    def propose(
        self,
        images: Sequence[NDArray[np.float32]],
        thresholds: Mapping[str, float],
        cores: Sequence[Window] | None = None,
    ) -> list[Detections]:
        """Run the network over images, one by one: the proposals of each are a batch.

        Args:
            images: Each `(H, W, in_channels)` float32, preprocessed.
            thresholds: `score` is the lowest score to keep; `nms` is the overlap above which the weaker of two boxes is
                dropped.
            cores: See `InstanceSegmenter.propose`.

        Returns:
            The nuclei of each; none in an image without any contrast.

        Raises:
            InputError: An image has another number of channels, or pixels that are not finite.
        """
        windows = [Window.whole(image.shape) for image in images] if cores is None else cores
        return [self._propose(image, thresholds, window) for image, window in zip(images, windows, strict=True)]

    def _propose(self, image: NDArray[np.float32], thresholds: Mapping[str, float], core: Window) -> Detections:
        if image.ndim != 3 or image.shape[2] != self.in_channels or not np.isfinite(image).all():
            raise InputError(
                f"an image of shape {image.shape}: Mask R-CNN takes (rows, columns, {self.in_channels}) of finite "
                "float32; convert it first, as the Predictor does."
            )
        if is_constant(image):
            size = 2 * self.config.mask_size
            return Detections(*(np.zeros(shape, np.float32) for shape in ((0, 4), 0, (0, size, size))))
        margins = [*((0, -side % self.stride) for side in image.shape[:2]), (0, 0)]
        padded = np.pad(image, margins, mode="symmetric") if np.any(margins) else image
        with self._network_is_free:
            features, proposals = self._proposals(padded)
            boxes, scores, levels = self._refined(features, proposals, padded.shape[:2])
            kept = kept_boxes(boxes, thresholds["nms"])
            center = (boxes[kept, :2] + boxes[kept, 2:]) / 2
            inside = ((center >= core[:2]) & (center < core[2:])).all(1)
            strong = scores[kept] >= np.float32(thresholds["score"])
            place = kept[inside & strong][: self.config.detections * _fields(padded)]
            masks = self._masks(features, boxes[place], levels[place])
        return Detections(boxes[place] - np.tile(core[:2], 2).astype(np.float32), scores[place], masks).ordered()

    def join(self, parts: Sequence[tuple[Detections, Window]], window: Window) -> Detections:
        """Collect the nuclei whose centres lie in a window; see `InstanceSegmenter.join`."""
        found = []
        for part, place in parts:
            offset = np.subtract(place[:2], window[:2]).astype(np.float32)
            moved = Detections(part.boxes + np.tile(offset, 2), part.scores, part.masks)
            center = (moved.boxes[:, :2] + moved.boxes[:, 2:]) / 2
            found.append(moved.take(np.all((center >= 0) & (center < window.shape), axis=1)))
        boxes, scores, masks = ([getattr(part, name) for part in found] for name in ("boxes", "scores", "masks"))
        return Detections(np.concatenate(boxes), np.concatenate(scores), np.concatenate(masks)).ordered()

    def max_radius(self, proposals: Detections) -> int:
        """Return half the longest side of a mask's frame, in pixels."""
        sides = proposals.boxes[:, 2:] - proposals.boxes[:, :2]
        return ceil(float(sides.max(initial=0)) * (0.5 + self.config.mask_margin))

    def _find_anchors(self, images: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
        outputs = self.keras_model(images)
        return {**outputs, "logits": best_of_cells(outputs["logits"], self.config.anchors_per_cell)}

    def _proposals(self, image: NDArray[np.float32]) -> tuple[Sequence[keras.KerasTensor], NDArray[np.float32]]:
        """Return the features of an image `(H, W, in_channels)` and its proposals `(K, 4)`."""
        config, shape = self.config, (image.shape[0], image.shape[1])
        outputs = self._first_stage(image[None])
        logits, codes = (ops.convert_to_numpy(ops.cast(outputs[name][0], "float32")) for name in ("logits", "codes"))
        proposals = select(
            logits,
            codes,
            self.keras_model.anchors(shape),
            shape,
            lowest=config.rpn_score,
            before=config.before_nms * _fields(image),
            after=config.proposals * _fields(image),
            nms_iou=config.rpn_nms,
        )
        return outputs["features"], proposals

    def _refined(
        self, features: Sequence[keras.KerasTensor], proposals: NDArray[np.float32], shape: tuple[int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
        """Return boxes, their scores, decreasing, and the levels of the features from which they are drawn."""
        parts = []
        for start in range(0, max(len(proposals), 1), _BOXES_AT_ONCE):
            some = proposals[start : start + _BOXES_AT_ONCE]
            refined = self._refine_boxes(features, _padded(some, _BOXES_STEP)[None], np.array(shape, np.int32))
            parts.append([ops.convert_to_numpy(each)[0, : len(some)] for each in refined])
        boxes, scores, levels = map(np.concatenate, zip(*parts, strict=True))
        order = np.argsort(-scores, kind="stable")
        return boxes[order], scores[order], levels[order]

    def _draw_from_level(self, level: keras.KerasTensor, stride: int, boxes: keras.KerasTensor) -> keras.KerasTensor:
        first = ops.zeros(ops.shape(boxes)[:2], "int32")
        return ops.sigmoid(self.keras_model.draw_masks([level], [stride], boxes, first))

    def _masks(
        self, features: Sequence[keras.KerasTensor], boxes: NDArray[np.float32], levels: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Draw the masks level by level, which needs no table of all levels that grows with the image."""
        size = 2 * self.config.mask_size
        masks = np.zeros((len(boxes), size, size), np.float32)
        for level, stride in enumerate(np.array(self.config.strides, np.int32)):
            of_level = np.flatnonzero(levels == level)
            for start in range(0, len(of_level), _MASKS_AT_ONCE):
                some = of_level[start : start + _MASKS_AT_ONCE]
                drawn = self._draw(features[level], stride, _padded(boxes[some], _MASKS_STEP)[None])
                masks[some] = ops.convert_to_numpy(drawn)[0, : len(some)]
        return masks

    def decode(
        self,
        proposals: Detections,
        shape: tuple[int, int],
        thresholds: Mapping[str, float],
        placement: Placement = SAME,
    ) -> Instances:
        """Draw detections into a label image; see `nucseg.models.mask_rcnn.paste`.

        Args:
            proposals: What `propose` or `join` returned: at a seam a nucleus may have been found on both sides.
            shape: (rows, columns) of the label image.
            thresholds: `nms` as for `propose`; `mask` is the value from which a pixel belongs to a nucleus; `area` is
                the number of pixels of the smallest nucleus, in the frame of the proposals.
            placement: Where the frame of the proposals lies in the label image.
        """
        found = proposals.take(kept_boxes(proposals.boxes, thresholds["nms"]))
        around = placement.corners(ops.convert_to_numpy(enlarge(found.boxes, self.config.mask_margin)))
        drawn = draw_instances(found.masks, around, found.scores, thresholds["mask"], shape)
        return drawn.from_area(placement.area(thresholds["area"]))

    def targets(
        self, image: NDArray[np.float32], truth: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], tuple[NDArray, ...]]:
        """Compute what the network learns from one patch; see `nucseg.models.mask_rcnn.targets`."""
        shape = (image.shape[0], image.shape[1])
        return image, make_targets(truth, self.keras_model.anchors(shape), self.config)

    def compile(self, optimizer: keras.Optimizer) -> None:
        """Compile `keras_model`, which has its own losses; with XLA if there is a GPU."""
        # On the CPU, TensorFlow's own convolutions are several times faster than XLA's.
        on_cpu = keras.backend.backend() == "tensorflow" and not keras.distribution.list_devices("gpu")
        self.keras_model.compile(optimizer, jit_compile=False if on_cpu else "auto")

    def tune(self, images: Sequence[NDArray[np.float32]], truths: Sequence[NDArray[np.int32]]) -> dict[str, float]:
        """Choose the thresholds with the best `ap_mean_50_90`; see `search_thresholds`.

        Args:
            images: Each `(H, W, in_channels)` float32, preprocessed: validation images only.
            truths: The true label image of each, `(H, W)`, or smaller where the image is enlarged.

        Returns:
            The thresholds chosen; the model's own if nothing was found.
        """

        @lru_cache(maxsize=1)
        def proposals(nms: float) -> list[Detections]:
            return self.propose(images, {"score": SCORES[0], "nms": nms})

        @lru_cache(maxsize=1)
        def drawn(nms: float, mask: float) -> list[Instances]:
            of_any_size = {"nms": nms, "mask": mask, "area": 0}
            return [
                self.decode(found, truth.shape, of_any_size, Placement.between(image.shape, truth.shape))
                for found, image, truth in zip(proposals(nms), images, truths, strict=True)
            ]

        def find(thresholds: Mapping[str, float]) -> list[Instances]:
            return [each.above(thresholds["score"]) for each in drawn(thresholds["nms"], thresholds["mask"])]

        return search_thresholds(find, truths, _GRID, self.thresholds)

    def save(self, folder: Path) -> None:
        """Write the model into an existing folder; see `nucseg.models.files`."""
        bare = MaskRCNN(self.config)
        bare.set_weights(self.keras_model.get_weights())
        write_files(folder, self.config.architecture(), self.thresholds, bare)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: A file is missing, damaged or of another kind.
        """
        return read_files(folder, "Mask R-CNN", MaskRCNNConfig, cls, lambda model: model.keras_model)


def _fields(image: NDArray[np.float32]) -> int:
    """Return by what the maximum numbers of the configuration are multiplied for an image `(H, W, in_channels)`."""
    return ceil(image.shape[0] * image.shape[1] / _FIELD)


def _padded(boxes: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Append boxes without area, up to a multiple of `step`, at least one such number."""
    return np.pad(boxes, [(0, max(-(-len(boxes) // step), 1) * step - len(boxes)), (0, 0)])
