"""StarDist behind the segmenter protocol; the `stardist` package makes network, targets, losses and polygons."""

import contextlib
import io
import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from threading import Lock
from typing import Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from skimage.segmentation import relabel_sequential
from stardist.models import Config2D, StarDist2D
from stardist.models.base import masked_loss_iou, masked_loss_mae, masked_loss_mse
from stardist.nms import non_maximum_suppression_inds
from stardist.utils import edt_prob
from threadpoolctl import ThreadpoolController

from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.models.files import read_files, write_files
from nucseg.models.segmenter import lowest_score
from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.drawing import draw_polygons
from nucseg.models.stardist.foreground import FOREGROUND, add_foreground_head, refine
from nucseg.models.stardist.rays import star_distances
from nucseg.models.stardist.thinning import best_of_same
from nucseg.models.tuning import ap_mean, choose_thresholds

_BLOCK = 8  # cells a side, in which of proposals of the same polygon the best is kept
_SCORES_TRIED = [percent / 100 for percent in range(10, 95, 5)]
_NMS_TRIED = [0.3, 0.4, 0.5]  # as StarDist2D.optimize_thresholds

# The package's OpenMP threads wait for each other in busy loops: beside a training step, or in each thread of a feed or
# server, two of them are up to ten times slower than one.
_openmp = ThreadpoolController().select(user_api="openmp")

# A patch inside one large nucleus is no error: the package then takes the patch's border for the nucleus's.
warnings.filterwarnings("ignore", message="EDT of constant label image")


@dataclass(frozen=True)
class Candidates:
    """K polygons that the network proposes for one image, before non-maximum suppression.

    Attributes:
        points: `(K, 2)` int64, (row, column) in pixels: the origin of the rays.
        distances: `(K, n_rays)` float32, pixels, along `stardist.geometry.ray_angles(n_rays)`.
        scores: `(K,)` float32, falling.
        foreground: `(H, W)` bool: which pixels belong to any nucleus; None where the model has no such head.
    """

    points: NDArray[np.int64]
    distances: NDArray[np.float32]
    scores: NDArray[np.float32]
    foreground: NDArray[np.bool_] | None = None

    def take(self, which: NDArray) -> "Candidates":
        """Keep some of the polygons: `which` are their places or, for each, whether it is kept."""
        return replace(self, points=self.points[which], distances=self.distances[which], scores=self.scores[which])

    def ordered(self) -> "Candidates":
        """Sort by falling score; equal ones (many in bfloat16) go by position, so that no tile decides between them."""
        return self.take(np.lexsort((self.points[:, 1], self.points[:, 0], -self.scores)))

    def above(self, score_threshold: float) -> "Candidates":
        """Keep the polygons with `score >= score_threshold`."""
        return self.take(self.scores >= np.float32(score_threshold))


class StarDist:
    """A StarDist model with weights and thresholds.

    Args:
        config: The architecture; `pretrained` is not looked at, see `nucseg.models.stardist.pretrained`.
    """

    def __init__(self, config: StarDistConfig) -> None:
        self.config = config
        self.in_channels = config.in_channels
        self.stride = config.grid * 2**config.unet_n_depth
        self.halo = _halo(config)
        self.largest = 1504 if config.refine_radius else 2048
        self.thresholds = {"score": 0.5, "nms": 0.4}
        with contextlib.redirect_stdout(io.StringIO()):  # the package prints its default thresholds
            self.polygon_model: keras.Model = StarDist2D(stardist_config(config), basedir=None).keras_model
        self.keras_model = self.polygon_model
        if config.refine_radius:
            self.keras_model = add_foreground_head(self.polygon_model, config.grid, config.refine_filters)
        # The same layers, never compiled: saving it leaves the optimizer out, a third of the size.
        self.network = keras.Model(self.keras_model.inputs, self.keras_model.outputs)
        self._run = tf.function(
            lambda images: self.network(images, training=False),
            input_signature=[tf.TensorSpec((None, None, None, config.in_channels), tf.float32)],
            autograph=False,
        )
        self._network_is_free = Lock()

    def predict(
        self, images: Sequence[NDArray[np.float32]], *, score_threshold: float | None = None
    ) -> list[Instances]:
        """Find the nuclei; see `Segmenter.predict`."""
        own = self.thresholds["score"]
        threshold = own if score_threshold is None else score_threshold
        lowest = lowest_score(own, score_threshold)
        return [
            self.decode(self.propose([image], lowest)[0], (image.shape[0], image.shape[1])).above(threshold)
            for image in images
        ]

    def propose(self, images: Sequence[NDArray[np.float32]], score_threshold: float) -> list[Candidates]:
        """Run the network over images, those of one shape as one batch; a large image is run tile by tile.

        Args:
            images: Each `(H, W, in_channels)` float32, preprocessed.
            score_threshold: The lowest score to keep.

        Returns:
            The candidates of each; none in an image without any contrast.
        """
        nothing = Candidates(
            np.zeros((0, 2), np.int64), np.zeros((0, self.config.n_rays), np.float32), np.zeros(0, np.float32)
        )
        found = [nothing] * len(images)
        alike: dict[tuple[int, ...], list[int]] = {}
        for place, image in enumerate(images):
            if (image != image[0, 0]).any():
                alike.setdefault(image.shape, []).append(place)
        for places in alike.values():
            batch = np.stack([images[place] for place in places])
            for place, candidates in zip(places, self._propose_batch(batch, score_threshold), strict=True):
                found[place] = candidates
        return found

    def _propose_batch(self, images: NDArray[np.float32], score_threshold: float) -> list[Candidates]:
        """Run the network over `(N, H, W, in_channels)`; see `propose`."""
        height, width = images.shape[1:3]
        margins = ((0, 0), (0, -height % self.stride), (0, -width % self.stride), (0, 0))
        padded = np.pad(images, margins, mode="reflect") if np.any(margins) else images
        longest = max(padded.shape[1:3])
        side = longest if longest <= self.largest else self.largest - 2 * self.halo
        # Divides the stride, so that no tile cuts a block.
        block = self.config.grid * min(_BLOCK, 2**self.config.unet_n_depth)
        whole = Window.whole((height, width))
        tiles = [
            (self._propose_tile(padded, y, x, side, score_threshold), Window(y, x, y + side, x + side))
            for y, x in itertools.product(*(range(0, length, side) for length in padded.shape[1:3]))
        ]
        found = [self.join([(tile[place], window) for tile, window in tiles], whole) for place in range(len(images))]
        return [each.take(best_of_same(each.points, each.distances, block)) for each in found]

    def _propose_tile(
        self, padded: NDArray[np.float32], y: int, x: int, side: int, score_threshold: float
    ) -> list[Candidates]:
        """Run the network on the tile at `(y, x)` of each image and its halo; give what the tile proposes."""
        grid, top, left = self.config.grid, max(y - self.halo, 0), max(x - self.halo, 0)
        tile = padded[:, top : y + side + self.halo, left : x + side + self.halo]
        with self._network_is_free:
            probabilities, distances, *rest = self._run(tile)
        row, column = (y - top) // grid, (x - left) // grid
        scores = probabilities[:, row : row + side // grid, column : column + side // grid, 0].numpy()
        cells = np.argwhere(scores >= np.float32(score_threshold))
        # Only these leave the device: all distances are as large as ten images. The lower bound is the package's own.
        rays = np.maximum(tf.gather_nd(distances, np.add(cells, (0, row, column))).numpy(), 1e-3)
        foreground = None
        if rest:
            foreground = rest[0][:, y - top : y - top + side, x - left : x - left + side, 0].numpy() >= FOREGROUND
        found = []
        for place in range(len(padded)):
            own = cells[:, 0] == place
            points, inside = cells[own, 1:] * grid, None if foreground is None else foreground[place]
            found.append(Candidates(points, rays[own], scores[place][tuple(cells[own, 1:].T)], inside))
        return found

    def join(self, parts: Sequence[tuple[Candidates, Window]], window: Window) -> Candidates:
        """Collect the candidates whose points lie in a window; see `TiledSegmenter.join`."""
        points, distances, scores = [], [], []
        foreground = np.zeros(window.shape, bool) if self.config.refine_radius else None
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

    def reach(self, proposals: Candidates) -> int:
        """Give the length of the longest ray and what refining adds to it, in pixels."""
        return ceil(proposals.distances.max(initial=0)) + self.config.refine_radius

    def suppress(self, candidates: Candidates) -> Candidates:
        """Drop the polygons that others of a higher score cover (greedy non-maximum suppression)."""
        with _openmp.limit(limits=1):
            keep = non_maximum_suppression_inds(
                candidates.distances,
                candidates.points,
                scores=candidates.scores,
                thresh=self.thresholds["nms"],
                verbose=False,
            )
        return candidates.take(keep)

    def decode(self, candidates: Candidates, shape: tuple[int, int]) -> Instances:
        """Suppress the polygons that others of a higher score cover and draw the rest; see `suppress` and `draw`."""
        return self.draw(self.suppress(candidates), shape) if len(candidates.scores) else Instances.none(shape)

    def draw(self, kept: Candidates, shape: tuple[int, int]) -> Instances:
        """Draw polygons and refine their borders.

        The candidates from the model's own score threshold up are refined first; the weaker ones get what is left, so
        that they never change what the model finds.

        Args:
            kept: What `suppress` left.
            shape: (rows, columns) of the image.

        Returns:
            The nuclei in the order of falling score. Where two overlap, the higher score has the pixel; a nucleus that
            is left without any pixel is dropped.
        """
        if not len(kept.scores):
            return Instances.none(shape)
        labels = draw_polygons(kept.distances, kept.points, shape)
        if kept.foreground is not None:
            labels = self._refined(labels, kept.scores, kept.foreground)
        visible = np.bincount(labels.ravel(), minlength=len(kept.scores) + 1)[1:] > 0
        numbers = np.concatenate([[0], np.cumsum(visible)]).astype(np.int32)
        return Instances(numbers[labels], kept.scores[visible])

    def _refined(
        self, labels: NDArray[np.int32], scores: NDArray[np.float32], foreground: NDArray[np.bool_]
    ) -> NDArray[np.int32]:
        radius = self.config.refine_radius
        n_strong = np.count_nonzero(scores >= np.float32(self.thresholds["score"]))  # the first ones: scores fall
        strong = refine(np.where(labels <= n_strong, labels, 0), foreground, radius)
        if n_strong == len(scores):
            return strong
        weak = refine(np.where((labels > n_strong) & (strong == 0), labels, 0), foreground, radius)
        return np.where(strong > 0, strong, weak)

    def targets(
        self, image: NDArray[np.float32], labels: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], ...]]:
        """Make what the network learns from one patch, as `stardist.models.StarDistData2D` does.

        Args:
            image: `(h, w, in_channels)` float32, preprocessed.
            labels: `(h, w)` int32; 0 is background, gaps are allowed.

        Returns:
            The image, and the object probability `(h/grid, w/grid, 1)`, the distances with their weight
            `(h/grid, w/grid, n_rays + 1)` and, for the foreground head, the foreground `(h, w, 1)`, float32.
        """
        grid = self.config.grid
        # Numbered without gaps, as the package's loop goes over all numbers.
        probability = edt_prob(relabel_sequential(labels[::grid, ::grid])[0])[..., None]
        distances = star_distances(labels, self.config.n_rays, grid)
        targets: tuple[NDArray[np.float32], ...] = (probability, np.concatenate([distances, probability], axis=-1))
        if self.config.refine_radius:
            targets += ((labels > 0).astype(np.float32)[..., None],)
        return image, targets

    def compile(self, optimizer: keras.Optimizer) -> None:
        """Compile `keras_model` with the losses of the `stardist` package, and cross-entropy for the foreground."""
        # One loss an output; the network may lack the last one.
        outputs = len(self.keras_model.outputs)
        self.keras_model.compile(
            optimizer,
            loss=["binary_crossentropy", self._distance_loss, "binary_crossentropy"][:outputs],
            loss_weights=list(self.config.train_loss_weights[:outputs]),
        )

    def _distance_loss(self, distances_and_weight: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
        """Weigh the error of the distances by the object probability (Schmidt et al. 2018, equation 1)."""
        loss = {"mae": masked_loss_mae, "mse": masked_loss_mse, "iou": masked_loss_iou}[self.config.train_dist_loss]
        weight = distances_and_weight[..., -1:]
        return loss(weight, reg_weight=self.config.train_background_reg)(distances_and_weight[..., :-1], predicted)

    def tune(self, images: Sequence[NDArray[np.float32]], labels: Sequence[NDArray[np.int32]]) -> dict[str, float]:
        """Choose the score and the suppression threshold that give the best `ap_mean_50_90` over the images.

        All are tried, as `predict` would decode with them; `nucseg.models.tuning` chooses.

        Args:
            images: Each `(H, W, in_channels)` float32, preprocessed: validation images only.
            labels: The true label image of each, `(H, W)`.

        Returns:
            The new `thresholds`; the old ones where nothing was found.
        """
        before, tried = self.thresholds, []
        candidates = [self.propose([image], _SCORES_TRIED[0])[0] for image in images]
        for nms in _NMS_TRIED:
            self.thresholds = {**before, "nms": nms}
            # Once for all scores: a polygon is suppressed by higher scores only.
            polygons = [self.suppress(found) if len(found.scores) else found for found in candidates]
            for score in _SCORES_TRIED:
                self.thresholds = {"score": score, "nms": nms}
                found = [
                    self.draw(each.above(score), truth.shape) for each, truth in zip(polygons, labels, strict=True)
                ]
                tried.append((self.thresholds, ap_mean(labels, found)))
        self.thresholds = choose_thresholds(tried, before)
        return self.thresholds

    def save(self, folder: Path) -> None:
        """Write the segmenter into an existing folder; see `nucseg.models.files`."""
        write_files(folder, self.config.architecture(), self.thresholds, self.network)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: A file is missing, damaged or of another kind.
        """
        return read_files(folder, "StarDist", StarDistConfig, cls, lambda segmenter: segmenter.network)


def stardist_config(config: StarDistConfig) -> Config2D:
    """Translate to the package's own configuration."""
    network = {name: value for name, value in config.architecture().items() if name.startswith(("n_", "unet_", "net_"))}
    return Config2D(n_channel_in=config.in_channels, grid=(config.grid, config.grid), **network)


def _halo(config: StarDistConfig) -> int:
    """Find the radius of the network's receptive field, in pixels, and round it up to the stride.

    It follows the longest way back through the network, through the U-Net's lowest level, from every position that a
    grid cell can have relative to the lowest level's cells. A 3x3 convolution looks one cell further to each side.
    """
    convolutions, depth, grid = config.unet_n_conv_per_depth, config.unet_n_depth, config.grid
    radius = 0
    for cell in range(2**depth):
        low = high = cell
        if config.net_conv_after_unet:
            low, high = low - 1, high + 1
        for _ in range(depth):
            low, high = (low - convolutions) // 2, (high + convolutions) // 2
        low, high = low - convolutions, high + convolutions
        for _ in range(depth + grid.bit_length() - 1):
            low, high = 2 * low - convolutions, 2 * high + 1 + convolutions
        radius = max(radius, grid * cell - low, high - grid * cell)
    if config.refine_radius:  # a convolution at full resolution over the neighbouring cells
        radius += grid
    stride = grid * 2**depth
    return -(-radius // stride) * stride
