"""Mask R-CNN behind the segmenter protocol."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from threading import Lock
from typing import Self

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.models.files import read_files, write_files
from nucseg.models.mask_rcnn.backbone import receptive_radius
from nucseg.models.mask_rcnn.boxes import enlarge
from nucseg.models.mask_rcnn.compiled import compiled
from nucseg.models.mask_rcnn.config import MaskRCNNConfig
from nucseg.models.mask_rcnn.network import MaskRCNN
from nucseg.models.mask_rcnn.nms import suppress
from nucseg.models.mask_rcnn.paste import draw_instances
from nucseg.models.mask_rcnn.targets import make_targets
from nucseg.models.tuning import ap_mean, choose_thresholds

_MASKS_AT_ONCE = 256  # what bounds the memory
_MASKS_STEP = 8  # always a multiple of it, so that few sizes are compiled
_SCORES_TRIED = [percent / 100 for percent in range(10, 95, 5)]
_NMS_TRIED = [0.3, 0.4, 0.5, 0.6]
_MASKS_TRIED = [0.4, 0.45, 0.5, 0.55, 0.6]


@dataclass(frozen=True)
class Detections:
    """K nuclei of one image as the network gives them.

    Attributes:
        boxes: `(K, 4)` float32.
        scores: `(K,)` float32, falling.
        masks: `(K, size, size)` float32 in [0, 1], filling the boxes enlarged by the margin.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    masks: NDArray[np.float32]

    def take(self, which: NDArray) -> "Detections":
        """Keep some: `which` are their places or, for each, whether it is kept."""
        return Detections(self.boxes[which], self.scores[which], self.masks[which])

    def ordered(self) -> "Detections":
        """Sort by falling score; equal ones (many in bfloat16) go by position, so that no tile decides between them."""
        return self.take(np.lexsort((self.boxes[:, 1], self.boxes[:, 0], -self.scores)))


class MaskRCNNSegmenter:
    """A Mask R-CNN model with weights and thresholds.

    Args:
        config: The architecture; `pretrained` says here only whether batch normalisation is frozen.
    """

    def __init__(self, config: MaskRCNNConfig) -> None:
        self.config = config
        self.in_channels = config.in_channels
        self.stride = config.strides[-1]
        # What a nucleus's box needs around it, for nuclei that reach half a typical large one out of what a tile owns.
        self.halo = -(-(receptive_radius(config) + 32) // self.stride) * self.stride
        self.largest = 1024 + 2 * self.halo
        self.thresholds = {"score": 0.5, "nms": 0.5, "mask": 0.5}
        self.keras_model = MaskRCNN(config)
        self._detect = compiled(self.keras_model.detect)
        self._draw = compiled(self._draw_from_level)
        self._suppress = compiled(suppress)
        self._network_is_free = Lock()

    def predict(
        self, images: Sequence[NDArray[np.float32]], *, score_threshold: float | None = None
    ) -> list[Instances]:
        """Find the nuclei; see `Segmenter.predict`."""
        threshold = self.thresholds["score"] if score_threshold is None else score_threshold
        return [self.decode(self.propose([image], threshold)[0], (image.shape[0], image.shape[1])) for image in images]

    def propose(
        self, images: Sequence[NDArray[np.float32]], score_threshold: float, own: Sequence[Window] | None = None
    ) -> list[Detections]:
        """Run the network over images, one by one (their proposals are a batch each); a large one tile by tile.

        Args:
            images: Each `(H, W, in_channels)` float32, preprocessed.
            score_threshold: The lowest score to keep.
            own: See `InstanceSegmenter.propose`.

        Returns:
            The nuclei of each; none in an image without any contrast.

        Raises:
            InputError: An image has other channels, or pixels that are not finite.
        """
        windows = [Window.whole(image.shape) for image in images] if own is None else own
        return [self._propose(image, score_threshold, window) for image, window in zip(images, windows, strict=True)]

    def _propose(self, image: NDArray[np.float32], score_threshold: float, own: Window) -> Detections:
        if image.ndim != 3 or image.shape[2] != self.in_channels or not np.isfinite(image).all():
            raise InputError(
                f"an image of shape {image.shape}: Mask R-CNN takes (rows, columns, {self.in_channels}) of finite "
                "float32; convert it first, as the Predictor does."
            )
        if (image == image[0, 0]).all():
            size = 2 * self.config.mask_size
            return Detections(*(np.zeros(shape, np.float32) for shape in ((0, 4), 0, (0, size, size))))
        whole = Window.whole(image.shape)
        with self._network_is_free:
            return self.join([(tile, whole) for tile in self._tiles(image, score_threshold, own)], own)

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

    def reach(self, proposals: Detections) -> int:
        """Give half the longest side of a mask's frame, in pixels."""
        sides = proposals.boxes[:, 2:] - proposals.boxes[:, :2]
        return ceil(float(sides.max(initial=0)) * (0.5 + self.config.mask_margin))

    def _tiles(self, image: NDArray[np.float32], score_threshold: float, own: Window) -> Iterator[Detections]:
        padded = np.pad(image, [*((0, -side % self.stride) for side in image.shape[:2]), (0, 0)], mode="symmetric")
        longest = max(padded.shape[:2])
        side = longest if longest <= self.largest else self.largest - 2 * self.halo
        for y, x in itertools.product(range(own.top, own.bottom, side), range(own.left, own.right, side)):
            top, left = max(y - self.halo, 0), max(x - self.halo, 0)
            tile = padded[top : y + side + self.halo, left : x + side + self.halo]
            features, boxes, scores, levels = self._detect(tile[None], self.keras_model.anchors(tile.shape[:2]))
            box, score = ops.convert_to_numpy(boxes)[0], ops.convert_to_numpy(scores)[0]
            kept = self._kept(box, score >= 0)
            center = (box[:, :2] + box[:, 2:]) / 2 + (top, left)
            owned = ((center >= (y, x)) & (center < (y + side, x + side)) & (center < own[2:])).all(1)
            place = np.flatnonzero(kept & owned & (score >= np.float32(score_threshold)))[: self.config.detections]
            masks = self._masks(features, box[place], ops.convert_to_numpy(levels)[0, place])
            offset = np.array([top, left, top, left], np.float32)
            yield Detections(box[place] + offset, score[place], masks)

    def _kept(self, boxes: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
        threshold = np.float32(self.thresholds["nms"])
        return ops.convert_to_numpy(self._suppress(boxes[None], valid[None], threshold))[0]

    def _kept_of_any(self, boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Suppress among any number of boxes; always a multiple of some, so that few sizes are compiled."""
        padded = np.pad(boxes, [(0, -len(boxes) % 256), (0, 0)])
        return self._kept(padded, np.arange(len(padded)) < len(boxes))[: len(boxes)]

    def _draw_from_level(self, level: keras.KerasTensor, stride: int, boxes: keras.KerasTensor) -> keras.KerasTensor:
        first = ops.zeros(ops.shape(boxes)[:2], "int32")
        return ops.sigmoid(self.keras_model.draw_masks([level], [stride], boxes, first))

    def _masks(
        self, features: Sequence[keras.KerasTensor], boxes: NDArray[np.float32], levels: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Draw the masks level by level: no table of all levels is needed, which grows with the image."""
        size = 2 * self.config.mask_size
        masks = np.zeros((len(boxes), size, size), np.float32)
        for level, stride in enumerate(np.array(self.config.strides, np.int32)):
            of_level = np.flatnonzero(levels == level)
            for start in range(0, len(of_level), _MASKS_AT_ONCE):
                some = of_level[start : start + _MASKS_AT_ONCE]
                filled = np.pad(boxes[some], [(0, -len(some) % _MASKS_STEP), (0, 0)])
                drawn = self._draw(features[level], stride, filled[None])
                masks[some] = ops.convert_to_numpy(drawn)[0, : len(some)]
        return masks

    def decode(self, proposals: Detections, shape: tuple[int, int]) -> Instances:
        """Draw detections into a label image; see `nucseg.models.mask_rcnn.paste`.

        Args:
            proposals: What `propose` or `join` gave: on a seam a nucleus may have been found on both sides.
            shape: (rows, columns) of the image.
        """
        found = proposals.take(self._kept_of_any(proposals.boxes))
        around = ops.convert_to_numpy(enlarge(found.boxes, self.config.mask_margin))
        return draw_instances(found.masks, around, found.scores, self.thresholds["mask"], shape)

    def targets(
        self, image: NDArray[np.float32], labels: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], tuple[NDArray, ...]]:
        """Make what the network learns from one patch; see `nucseg.models.mask_rcnn.targets`."""
        shape = (image.shape[0], image.shape[1])
        return image, make_targets(labels, self.keras_model.anchors(shape), self.config)

    def compile(self, optimizer: keras.Optimizer) -> None:
        """Compile `keras_model`, which brings its losses; XLA where there is a GPU."""
        # On the CPU, TensorFlow's own convolutions are several times faster than XLA's.
        on_cpu = keras.backend.backend() == "tensorflow" and not keras.distribution.list_devices("gpu")
        self.keras_model.compile(optimizer, jit_compile=False if on_cpu else "auto")

    def tune(self, images: Sequence[NDArray[np.float32]], labels: Sequence[NDArray[np.int32]]) -> dict[str, float]:
        """Choose score, suppression and mask threshold that give the best `ap_mean_50_90` over the images.

        All are tried, as `predict` would decode with them; `nucseg.models.tuning` chooses.

        Args:
            images: Each `(H, W, in_channels)` float32, preprocessed: validation images only.
            labels: The true label image of each, `(H, W)`.

        Returns:
            The new `thresholds`; the old ones where nothing was found.
        """
        before, tried = self.thresholds, []
        for nms in _NMS_TRIED:
            self.thresholds = {**before, "nms": nms}
            detections = self.propose(images, _SCORES_TRIED[0])
            for mask in _MASKS_TRIED:
                self.thresholds = {**before, "nms": nms, "mask": mask}
                drawn = [self.decode(found, truth.shape) for found, truth in zip(detections, labels, strict=True)]
                for score in _SCORES_TRIED:
                    value = ap_mean(labels, [each.above(score) for each in drawn])
                    tried.append(({"score": score, "nms": nms, "mask": mask}, value))
        self.thresholds = choose_thresholds(tried, before)
        return self.thresholds

    def save(self, folder: Path) -> None:
        """Write the segmenter into an existing folder; see `nucseg.models.files`."""
        bare = MaskRCNN(self.config)
        bare.set_weights(self.keras_model.get_weights())
        write_files(folder, self.config.architecture(), self.thresholds, bare)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: A file is missing, damaged or of another kind.
        """
        return read_files(folder, "Mask R-CNN", MaskRCNNConfig, cls, lambda segmenter: segmenter.keras_model)
