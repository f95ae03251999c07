"""StarDist behind the segmenter protocol; the `stardist` package makes network, targets, losses and polygons."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from pydantic import ValidationError
from skimage.segmentation import relabel_sequential
from stardist.geometry import polygons_to_label, star_dist
from stardist.models import Config2D, StarDist2D
from stardist.nms import non_maximum_suppression_inds
from stardist.utils import edt_prob
from threadpoolctl import ThreadpoolController

from nucseg.core.errors import ModelError
from nucseg.core.types import Instances
from nucseg.models.segmenter import LOWEST_SCORE
from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.thresholds import ScoreSweep

_TILE = 1024  # pixels a side: the network's memory stays below 1 GB whatever the size of the image
_NMS_THRESHOLDS = (0.3, 0.4, 0.5)  # as StarDist2D.optimize_thresholds
_log = logging.getLogger(__name__)

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
    """

    points: NDArray[np.int64]
    distances: NDArray[np.float32]
    scores: NDArray[np.float32]


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
        self.thresholds = {"score": 0.5, "nms": 0.4}
        with contextlib.redirect_stdout(io.StringIO()):  # the package prints its default thresholds
            self._stardist = StarDist2D(stardist_config(config), basedir=None)
        self.keras_model: keras.Model = self._stardist.keras_model
        # The same layers, never compiled: saving it leaves the optimizer out, a third of the size.
        self.network = keras.Model(self.keras_model.inputs, self.keras_model.outputs)
        self._run = tf.function(
            lambda images: self.network(images, training=False),
            input_signature=[tf.TensorSpec((1, None, None, config.in_channels), tf.float32)],
        )

    def predict(
        self, images: Sequence[NDArray[np.float32]], *, score_threshold: float | None = None
    ) -> list[Instances]:
        """Find the nuclei; see `Segmenter.predict`."""
        threshold = self.thresholds["score"] if score_threshold is None else score_threshold
        return [self.decode(self.propose(image, threshold), (image.shape[0], image.shape[1])) for image in images]

    def propose(self, image: NDArray[np.float32], score_threshold: float) -> Candidates:
        """Run the network over an image, tile by tile where it is large.

        Args:
            image: `(H, W, in_channels)` float32, preprocessed.
            score_threshold: The lowest score to keep.

        Returns:
            The candidates; none in an image without any contrast.
        """
        height, width = image.shape[:2]
        found: list[tuple[NDArray, NDArray, NDArray]] = []
        if (image != image[0, 0]).any():
            padding = ((0, -height % self.stride), (0, -width % self.stride), (0, 0))
            padded = np.pad(image, padding, mode="reflect")
            rows, columns = (range(0, side, _TILE) for side in padded.shape[:2])
            found = [self._propose_in_tile(padded, y, x, score_threshold) for y in rows for x in columns]
        points = np.concatenate([np.zeros((0, 2), np.int64), *(tile[0] for tile in found)])
        distances = np.concatenate([np.zeros((0, self.config.n_rays), np.float32), *(tile[1] for tile in found)])
        scores = np.concatenate([np.zeros(0, np.float32), *(tile[2] for tile in found)])
        inside = np.flatnonzero((points < (height, width)).all(1))
        # Equal scores (many in bfloat16) go by position: neither the tiles nor the threshold decide between them.
        order = inside[np.lexsort((points[inside, 1], points[inside, 0], -scores[inside]))]
        return Candidates(points[order], distances[order], scores[order])

    def _propose_in_tile(
        self, padded: NDArray[np.float32], y: int, x: int, score_threshold: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        grid = self.config.grid
        top, left = max(y - self.halo, 0), max(x - self.halo, 0)
        tile = padded[top : y + _TILE + self.halo, left : x + _TILE + self.halo]
        score, distance = (part.numpy()[0] for part in self._run(tile[None]))
        owned = (
            slice((y - top) // grid, (y - top + _TILE) // grid),
            slice((x - left) // grid, (x - left + _TILE) // grid),
        )
        score, distance = score[owned][..., 0], distance[owned]
        keep = score >= np.float32(score_threshold)
        # The lower bound of the distances is the package's own.
        return np.argwhere(keep) * grid + (y, x), np.maximum(distance[keep], 1e-3), score[keep]

    def decode(
        self, candidates: Candidates, shape: tuple[int, int], *, nms_threshold: float | None = None
    ) -> Instances:
        """Suppress the polygons that others of a higher score cover, and draw the rest.

        Args:
            candidates: What `propose` gave.
            shape: (rows, columns) of the image.
            nms_threshold: Intersection over the smaller area from which on a polygon is suppressed; None takes the
                model's own.

        Returns:
            The nuclei in the order of falling score. Where two overlap, the higher score has the pixel; a nucleus that
            is left without any pixel is dropped.
        """
        if not len(candidates.scores):
            return Instances.none(shape)
        with _openmp.limit(limits=1):
            keep = non_maximum_suppression_inds(
                candidates.distances,
                candidates.points,
                scores=candidates.scores,
                thresh=self.thresholds["nms"] if nms_threshold is None else nms_threshold,
                verbose=False,
            )
        scores = candidates.scores[keep]
        labels = polygons_to_label(candidates.distances[keep], candidates.points[keep], shape, prob=scores)
        visible = np.bincount(labels.ravel(), minlength=len(scores) + 1)[1:] > 0
        numbers = np.concatenate([[0], np.cumsum(visible)]).astype(np.int32)
        return Instances(numbers[labels], scores[visible])

    def targets(
        self, image: NDArray[np.float32], labels: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Make what the network learns from one patch, as `stardist.models.StarDistData2D` does.

        Args:
            image: `(h, w, in_channels)` float32, preprocessed.
            labels: `(h, w)` int32; 0 is background, gaps are allowed.

        Returns:
            The image, and the object probability `(h/grid, w/grid, 1)` with the distances and their weight
            `(h/grid, w/grid, n_rays + 1)`, float32.
        """
        grid = self.config.grid
        # Without gaps the package's loop over labels is short, and a patch has fewer than its limit of 65,535.
        labels = relabel_sequential(labels)[0]
        probability = edt_prob(labels[::grid, ::grid])[..., None]
        with _openmp.limit(limits=1):
            distances = star_dist(labels, self.config.n_rays, grid=(grid, grid))
        return image, (probability, np.concatenate([distances, probability], axis=-1))

    def compile(self, optimizer: keras.Optimizer) -> None:
        """Compile `keras_model` with the losses and metrics of the `stardist` package."""
        self._stardist.prepare_for_training(optimizer)
        # The package's losses select pixels by a mask, a shape that XLA does not know beforehand.
        self.keras_model.jit_compile = False

    def tune(self, images: Sequence[NDArray[np.float32]], labels: Sequence[NDArray[np.int32]]) -> dict[str, float]:
        """Choose the score and the suppression threshold that give the best `ap_mean_50_90` over the images.

        Args:
            images: Each `(H, W, in_channels)` float32, preprocessed: validation images only.
            labels: The true label image of each, `(H, W)`.

        Returns:
            The new `thresholds`; the old ones where nothing was found.
        """
        sweeps = {nms: ScoreSweep() for nms in _NMS_THRESHOLDS}
        for image, truth in zip(images, labels, strict=True):
            candidates = self.propose(image, LOWEST_SCORE)
            for nms, sweep in sweeps.items():
                sweep.add(truth, self.decode(candidates, (image.shape[0], image.shape[1]), nms_threshold=nms))
        value, score, best_nms = max((*sweep.best(), nms) for nms, sweep in sweeps.items())
        if value == 0:
            _log.warning("No nucleus of the validation images was found: the thresholds stay %s.", self.thresholds)
        else:
            self.thresholds = {"score": score, "nms": best_nms}
            _log.info("Thresholds %s give ap_mean_50_90 = %.4f on validation.", self.thresholds, value)
        return self.thresholds

    def save(self, folder: Path) -> None:
        """Write `config.json`, `model.weights.h5` and `thresholds.json` into an existing folder."""
        config = {"in_channels": self.in_channels, "architecture": self.config.architecture()}
        (folder / "config.json").write_text(json.dumps(config, indent=2))
        (folder / "thresholds.json").write_text(json.dumps(self.thresholds, indent=2))
        self.network.save_weights(folder / "model.weights.h5")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: A file is missing, damaged or of another kind.
        """
        try:
            model = cls(StarDistConfig(**json.loads((folder / "config.json").read_text())["architecture"]))
            thresholds = json.loads((folder / "thresholds.json").read_text())
            model.thresholds = {name: float(thresholds[name]) for name in model.thresholds}
            model.network.load_weights(folder / "model.weights.h5")
        except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
            raise ModelError(
                f"{folder}: not a whole StarDist model ({error}). Fetch it again (`dvc pull`) or train it anew."
            ) from error
        return model


def stardist_config(config: StarDistConfig) -> Config2D:
    """Translate to the package's own configuration."""
    options = config.architecture()
    channels, grid = options.pop("in_channels"), options.pop("grid")
    return Config2D(n_channel_in=channels, grid=(grid, grid), **options, train_reduce_lr=None)


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
    stride = grid * 2**depth
    return -(-radius // stride) * stride
