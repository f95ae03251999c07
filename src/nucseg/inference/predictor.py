"""The one way from an image to its nuclei: preprocessing, a scale, tiles, and an engine that runs them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import ConfigError, InputError
from nucseg.core.types import Instances, Precision
from nucseg.core.window import Window
from nucseg.images.planes import Channel
from nucseg.images.source import ImageSource, array_source
from nucseg.inference.engine import LocalEngine, TileJob
from nucseg.inference.look import ScaleLook
from nucseg.inference.mosaic import Mosaic
from nucseg.inference.parts import Part
from nucseg.inference.tiled import predict_tiled
from nucseg.inference.tiles import make_grid
from nucseg.inference.view import NetworkView
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.models.protocols import lowest_score
from nucseg.models.registry import resolve_model

Scale = float | Literal["auto"]


class Predictor:
    """Applies a model's own preprocessing, predicts, and maps the answer back to the frame of the image.

    Args:
        bundle: The model.
        scale: Factor by which the preprocessed image is resized before the network sees it: below 1 for nuclei that
            are larger than those the model was trained on, above 1 for smaller ones. `auto` finds it for each image,
            see `estimate_scale`.
        precision: Precision of the network; holds for the whole process, see `use_precision`.

    Attributes:
        bundle: The model.
        scale: As given.
        precision: The one in effect.

    Raises:
        ConfigError: The scale is not above 0, or the precision is not available.
    """

    def __init__(self, bundle: ModelBundle, *, scale: Scale = "auto", precision: Precision = "auto") -> None:
        _check_scale(scale)
        self.bundle = bundle
        self.scale = scale
        self.precision = use_precision(precision)
        self._preprocessor = bundle.preprocessor()

    @classmethod
    def load(cls, name_or_folder: str | Path, *, scale: Scale = "auto", precision: Precision = "auto") -> Self:
        """Load a model by its name or folder, as `resolve_model` finds it.

        Raises:
            ModelError: There is no such model, or it is not whole.
        """
        return cls(ModelBundle.load(resolve_model(name_or_folder)), scale=scale, precision=precision)

    @property
    def score_threshold(self) -> float:
        """The model's own score threshold, tuned on validation images."""
        return self.bundle.model.thresholds["score"]

    def predict(
        self,
        image: NDArray,
        *,
        magnification: float | None = None,
        score_threshold: float | None = None,
        name: str = "image",
    ) -> Instances:
        """Find the nuclei of one image in memory, on this machine.

        `predict(image, score_threshold=low).above(high)` is what `predict(image, score_threshold=high)` returns.

        Args:
            image: `(H, W)` or `(H, W, C)` with C of 1, 3 or 4, any integer, boolean or float dtype; as stored, not
                normalised.
            magnification: Magnification of the objective, where known; only a model that rescales to one uses it.
            score_threshold: The lowest score to keep; None takes the model's own.
            name: Name of the image in errors.

        Returns:
            The nuclei in the frame of `image`, in the order of falling score.

        Raises:
            InputError: It is not an image, or shows several stains in colour.
        """
        job = self.job(array_source(image, name), magnification=magnification, score_threshold=score_threshold)
        return predict_tiled(job, LocalEngine(self.bundle.model)).instances().by_score()

    def predict_source(
        self,
        source: ImageSource,
        *,
        score_threshold: float | None = None,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> Mosaic:
        """Find the nuclei of an image of any size, tile by tile, on this machine.

        Args:
            source: The image.
            score_threshold: As in `predict`.
            progress: Called with the fraction that is done, before each piece that is read and after each tile; what it
                raises ends the prediction.

        Raises:
            InputError: As `job`.
        """
        done = 0.0

        def read(window: Window) -> NDArray:
            progress(done)
            return source.read(window)

        job = self.job(replace(source, read=read), score_threshold=score_threshold)

        def report(tile: int, part: Part) -> None:
            nonlocal done
            done += 1 / len(job.grid)
            progress(min(done, 1.0))

        return predict_tiled(job, LocalEngine(self.bundle.model), on_tile=report)

    def job(
        self,
        source: ImageSource,
        *,
        channel: Channel = None,
        tile: int | None = None,
        scale: Scale | None = None,
        magnification: float | None = None,
        score_threshold: float | None = None,
    ) -> TileJob:
        """Compute the statistics of an image (it is read twice for that, band by band) and lay tiles over it.

        Args:
            source: The image.
            channel: The channel that `source` was opened with, for other processes.
            tile: Side of a tile in pixels, in the frame of the network, at most the default, which None takes.
            scale: Scale to predict at, or `auto`; None takes the predictor's.
            magnification: As in `predict`.
            score_threshold: As in `predict`.

        Returns:
            What `predict_tiled` takes. Where the scale was estimated on the whole image, the job holds what the
            network proposed at that scale, so that no pixel passes through it twice.

        Raises:
            InputError: It is not an image, or shows several stains in colour; see `Preprocessor.fit_source`.
            ConfigError: The tile or the scale is not above 0.
        """
        scale = _check_scale(self.scale if scale is None else scale)
        try:
            fitted = self._preprocessor.fit_source(source, magnification)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(f"{source.name}: cannot be read ({error}). Fetch or save it again.") from error
        source = replace(source, notes=source.notes + fitted.notes)
        model = self.bundle.model
        lowest = lowest_score(self.score_threshold, score_threshold)
        look = None
        if scale == "auto":
            look = ScaleLook(model, source, fitted, lowest)
            scale = look.scale()
        grid = make_grid(
            NetworkView(source, fitted, scale).shape,
            tile,
            stride=model.stride,
            halo=model.halo,
            max_side=model.max_side,
        )
        known = look.proposals_of_all(scale) if look and len(grid) == 1 else {}
        return TileJob(source, channel, fitted, scale, grid, score_threshold, known)


def _check_scale(scale: Scale) -> Scale:
    if scale != "auto" and not 0 < scale < np.inf:
        raise ConfigError(f"scale: {scale} is not allowed; it must be `auto` or a factor above 0 (1 changes nothing).")
    return scale
