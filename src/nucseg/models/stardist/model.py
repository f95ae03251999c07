"""StarDist as an instance segmenter; network, losses and suppression are those of the `stardist` package."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from pathlib import Path
from threading import Lock
from typing import Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from stardist.nms import non_maximum_suppression_inds
from threadpoolctl import ThreadpoolController

from nucseg.core.placement import SAME, Placement
from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.images.intensity import is_constant
from nucseg.masks.labels import keep_largest_pieces
from nucseg.models.files import read_files, write_files
from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.deduplicate import deduplicate
from nucseg.models.stardist.drawing import draw_polygons
from nucseg.models.stardist.foreground import FOREGROUND_BYTE
from nucseg.models.stardist.losses import output_losses
from nucseg.models.stardist.network import build_network
from nucseg.models.stardist.prediction_graph import compile_for_prediction
from nucseg.models.stardist.refining import make_whole, number_visible, refine
from nucseg.models.stardist.targets import make_targets
from nucseg.models.tuning import SCORES, search_thresholds

_BLOCK = 8  # cells per side of a block, in which only the best of nearly equal polygons is kept
_GRID = {"nms": (0.3, 0.4, 0.5), "score": SCORES}  # the values of nms are those of StarDist2D.optimize_thresholds

# The package's OpenMP threads wait for each other in busy loops. During a training step, or in each thread of a feed or
# server, two of them are up to ten times slower than one.
_openmp = ThreadpoolController().select(user_api="openmp")

# A patch inside one large nucleus is not an error: the package then uses the patch's border as the nucleus's.
warnings.filterwarnings("ignore", message="EDT of constant label image")


@dataclass(frozen=True)
class Candidates:
    """K polygons that the network proposes for one image, before non-maximum suppression.

    Attributes:
        points: `(K, 2)` int64, (row, column) in pixels: the origin of the rays.
        distances: `(K, n_rays)` float32, pixels, along `stardist.geometry.ray_angles(n_rays)`.
        scores: `(K,)` float32, decreasing.
        foreground: `(H, W)` uint8, 256ths: the probability that a pixel belongs to any nucleus; None: the model has no
            such head.
    """

    points: NDArray[np.int64]
    distances: NDArray[np.float32]
    scores: NDArray[np.float32]
    foreground: NDArray[np.uint8] | None = None

    def take(self, which: NDArray) -> "Candidates":
        """Return a selection; `which` contains indices, or for each polygon whether it is kept."""
        return replace(self, points=self.points[which], distances=self.distances[which], scores=self.scores[which])

    def ordered(self) -> "Candidates":
        """Sort by decreasing score, equal scores (frequent in bfloat16) by position, so that tiles do not matter."""
        return self.take(np.lexsort((self.points[:, 1], self.points[:, 0], -self.scores)))

    def above(self, score_threshold: float) -> "Candidates":
        """Keep the polygons with `score >= score_threshold`."""
        return self.take(self.scores >= np.float32(score_threshold))


class StarDist:
    """A StarDist model with weights and thresholds.

    Args:
        config: The architecture; `pretrained` is ignored, see `nucseg.models.stardist.pretrained`.
    """

    def __init__(self, config: StarDistConfig) -> None:
        self.config = config
        self.in_channels = config.in_channels
        self.thresholds = {"score": 0.5, "nms": 0.4, "area": 0.0}
        built = build_network(config)
        self.stride, self.halo, self.max_side = built.stride, built.halo, built.max_side
        self.polygon_model, self.keras_model = built.polygons, built.model
        # The same layers, never compiled: saving it leaves the optimizer out, so the file has a third of the size.
        self.network = keras.Model(self.keras_model.inputs, self.keras_model.outputs)
        self._run = compile_for_prediction(self.network, config.grid, built.seam)
        self._network_is_free = Lock()

    def propose(
        self,
        images: Sequence[NDArray[np.float32]],
        thresholds: Mapping[str, float],
        cores: Sequence[Window] | None = None,
    ) -> list[Candidates]:
        """Run the network over images, those of one shape and window as one batch.

        Args:
            images: Each `(H, W, in_channels)` float32, preprocessed.
            thresholds: `score` is the lowest score to keep.
            cores: See `InstanceSegmenter.propose`.

        Returns:
            The candidates of each; none in an image without any contrast.
        """
        windows = [Window.whole(image.shape) for image in images] if cores is None else cores
        found = [self._none(window) for window in windows]
        alike: dict[tuple[tuple[int, ...], Window], list[int]] = {}
        for place, (image, window) in enumerate(zip(images, windows, strict=True)):
            if not is_constant(image):
                alike.setdefault((image.shape, window), []).append(place)
        for (_, window), places in alike.items():
            batch = images[places[0]][None] if len(places) == 1 else np.stack([images[place] for place in places])
            for place, candidates in zip(places, self._propose_batch(batch, window, thresholds["score"]), strict=True):
                found[place] = candidates
        return found

    def _none(self, window: Window) -> Candidates:
        rays = np.zeros((0, self.config.n_rays), np.float32)
        foreground = np.zeros(window.shape, np.uint8) if self.config.refine_radius else None
        return Candidates(np.zeros((0, 2), np.int64), rays, np.zeros(0, np.float32), foreground)

    def _propose_batch(self, images: NDArray[np.float32], core: Window, lowest: float) -> list[Candidates]:
        """Run the network over `(N, H, W, in_channels)`; see `propose`."""
        height, width = images.shape[1:3]
        margins = ((0, 0), (0, -height % self.stride), (0, -width % self.stride), (0, 0))
        # Copied in advance, while the network runs over another image; of repeated grey one channel is enough.
        different = images[..., :1] if images.strides[-1] == 0 else images
        padded = tf.constant(np.pad(different, margins, mode="reflect") if np.any(margins) else different, tf.float32)
        padded = tf.broadcast_to(padded, (*padded.shape[:3], images.shape[3]))
        with self._network_is_free:
            outputs = self._run(padded, core, lowest)
        cells, scores, distances, *foreground = (output.numpy() for output in outputs)
        points = cells[:, 1:] * self.config.grid
        distances = np.maximum(distances, 1e-3)  # the package's own lower bound
        # Divides the stride, so that no tile cuts a block.
        block = min(self.config.grid * _BLOCK, self.stride)
        found = []
        for place in range(len(images)):
            here = cells[:, 0] == place
            inside = foreground[0][place] if foreground else None
            each = Candidates(points[here], distances[here], scores[here], inside).ordered()
            found.append(each.take(deduplicate(each.points, each.distances, block)))
        return found

    def join(self, parts: Sequence[tuple[Candidates, Window]], window: Window) -> Candidates:
        """Collect the candidates whose points lie in a window; see `InstanceSegmenter.join`."""
        points, distances, scores = [], [], []
        foreground = np.zeros(window.shape, np.uint8) if self.config.refine_radius else None
        for part, place in parts:
            moved = part.points + np.subtract(place[:2], window[:2])
            inside = ((moved >= 0) & (moved < window.shape)).all(1)
            points.append(moved[inside])
            distances.append(part.distances[inside])
            scores.append(part.scores[inside])
            common = place.common(window)
            if foreground is not None and part.foreground is not None and common:
                foreground[common.within(window).slices] = part.foreground[common.within(place).slices]
        return Candidates(
            np.concatenate(points), np.concatenate(distances), np.concatenate(scores), foreground
        ).ordered()

    def max_radius(self, proposals: Candidates) -> int:
        """Return the length of the longest ray plus what refining adds to it, in pixels."""
        return ceil(proposals.distances.max(initial=0)) + self.config.refine_radius

    def decode(
        self,
        proposals: Candidates,
        shape: tuple[int, int],
        thresholds: Mapping[str, float],
        placement: Placement = SAME,
    ) -> Instances:
        """Suppress the polygons that others of a higher score cover and draw the rest; see `suppress` and `draw`.

        Args:
            proposals: What `propose` or `join` returned.
            shape: (rows, columns) of the label image.
            thresholds: `nms` as for `suppress`; `score` as `strong` of `draw`; `area` is the number of pixels of the
                smallest nucleus, in the frame of the proposals.
            placement: Where the frame of the proposals lies in the label image.
        """
        if not len(proposals.scores):
            return Instances.none(shape)
        drawn = self.draw(suppress(proposals, thresholds["nms"]), shape, thresholds["score"], placement)
        return drawn.from_area(placement.area(thresholds["area"]))

    def draw(self, kept: Candidates, shape: tuple[int, int], strong: float, placement: Placement = SAME) -> Instances:
        """Draw polygons and refine their borders.

        Args:
            kept: What `suppress` left.
            shape: (rows, columns) of the label image.
            strong: Candidates with at least this score are refined first; weaker ones get the remaining pixels, so that
                they never change the stronger ones.
            placement: Where the frame of the polygons lies in the label image.

        Returns:
            The nuclei by decreasing score. If two overlap, the pixels belong to the higher score. If a nucleus is split
            by others, its largest piece stays; a nucleus without pixels is dropped.
        """
        if not len(kept.scores):
            return Instances.none(shape)
        labels = draw_polygons(kept.distances, placement.centers(kept.points), shape, placement.scale)
        if kept.foreground is None or not self.config.refine_radius:
            labels = keep_largest_pieces(labels)
        else:
            inside = placement.resampled(kept.foreground, shape) >= FOREGROUND_BYTE
            radius = max(int(self.config.refine_radius * min(placement.scale)), 1)  # no further than the network's
            labels = _refined(labels, kept.scores >= np.float32(strong), inside, radius)
        visible = np.zeros(len(kept.scores), bool)
        return Instances(number_visible(labels, visible), kept.scores[visible])

    def targets(
        self, image: NDArray[np.float32], truth: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], ...]]:
        """Compute what the network learns from one patch; see `nucseg.models.stardist.targets`.

        Args:
            image: `(h, w, in_channels)` float32, preprocessed.
            truth: The label image `(h, w)` int32; 0 is background, gaps are allowed.

        Returns:
            The image, and its targets.
        """
        return image, make_targets(truth, self.config)

    def compile(self, optimizer: keras.Optimizer) -> None:
        """Compile `keras_model` with the losses of the `stardist` package, and cross-entropy for the foreground."""
        self.keras_model.compile(optimizer, **output_losses(self.config))

    def tune(self, images: Sequence[NDArray[np.float32]], truths: Sequence[NDArray[np.int32]]) -> dict[str, float]:
        """Choose the thresholds with the best `ap_mean_50_90`; see `search_thresholds`.

        Args:
            images: Each `(H, W, in_channels)` float32, preprocessed: validation images only.
            truths: The true label image of each, `(H, W)`, or smaller where the image is enlarged.

        Returns:
            The thresholds chosen; the model's own if nothing was found.
        """
        candidates = [self.propose([image], {"score": SCORES[0]})[0] for image in images]

        @lru_cache(maxsize=1)
        def polygons(nms: float) -> list[Candidates]:
            # Once for all scores: a polygon is suppressed by higher scores only.
            return [suppress(found, nms) for found in candidates]

        def find(thresholds: Mapping[str, float]) -> list[Instances]:
            score = thresholds["score"]
            return [
                self.draw(each.above(score), truth.shape, score, Placement.between(image.shape, truth.shape))
                for each, image, truth in zip(polygons(thresholds["nms"]), images, truths, strict=True)
            ]

        return search_thresholds(find, truths, _GRID, self.thresholds)

    def save(self, folder: Path) -> None:
        """Write the model into an existing folder; see `nucseg.models.files`."""
        write_files(folder, self.config.architecture(), self.thresholds, self.network)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: A file is missing, damaged or of another kind.
        """
        return read_files(folder, "StarDist", StarDistConfig, cls, lambda model: model.network)


def _refined(
    labels: NDArray[np.int32], is_strong: NDArray[np.bool_], foreground: NDArray[np.bool_], radius: int
) -> NDArray[np.int32]:
    if is_strong.all():
        return make_whole(refine(labels, foreground, radius))
    n_strong = np.count_nonzero(is_strong)  # the first ones: scores decrease
    strong = make_whole(refine(np.where(labels <= n_strong, labels, 0), foreground, radius))
    weak = make_whole(refine(np.where((labels > n_strong) & (strong == 0), labels, 0), foreground, radius))
    return keep_largest_pieces(np.where(strong > 0, strong, weak))


def suppress(candidates: Candidates, threshold: float) -> Candidates:
    """Drop the polygons that others of a higher score cover (greedy non-maximum suppression).

    Args:
        candidates: The polygons.
        threshold: Overlap above which the weaker of two is dropped, as defined by the `stardist` package.
    """
    if not len(candidates.scores):
        return candidates
    with _openmp.limit(limits=1):
        keep = non_maximum_suppression_inds(
            candidates.distances, candidates.points, scores=candidates.scores, thresh=threshold, verbose=False
        )
    return candidates.take(keep)
