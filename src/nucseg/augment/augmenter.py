"""The augmenter: seeded random changes of an image and its truth."""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nucseg.augment.config import AugmentationConfig, Stage
from nucseg.augment.transforms import A, WindowAffine, build, center_offset
from nucseg.core.errors import ConfigError
from nucseg.images.intensity import to_unit_float

STAGES: tuple[Stage, ...] = ("affine", "geometry", "colour", "intensity")


class Augmenter:
    """Random changes of an image and its truth together; the same seed gives the same changes.

    The truth is an image of numbers (a label image, a class map). Its pixels are moved with the image's, by nearest
    neighbour, and never renumbered or interpolated: renumbering instances is left to the caller.

    Safe to call from several threads at once. `reach` and `largest_zoom` say how much context has to be cut out around
    a patch so that nothing beyond the window is seen.

    Args:
        stages: One albumentations pipeline for each of `STAGES`.
    """

    def __init__(self, stages: dict[Stage, A.Compose]) -> None:
        self._stages = stages
        self._idle: list[dict[Stage, A.Compose]] = []

    @classmethod
    def from_config(cls, config: AugmentationConfig) -> Self:
        """Build the pipeline that `data_augmentations.yml` describes."""
        stages = {
            stage: A.Compose([build(t) for t in config.transforms if t.stage == stage and t.p > 0]) for stage in STAGES
        }
        return cls(stages)

    @classmethod
    def from_dict(cls, definition: dict[str, Any]) -> Self:
        """Build the pipeline from what `to_dict` returned.

        Raises:
            ConfigError: The definition was not written by `to_dict`.
        """
        try:
            stages = {stage: A.from_dict(definition["stages"][stage]) for stage in STAGES}
            return cls(stages)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"The augmenter's definition is not readable ({error!r}); run the data_augmentations pipeline again."
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """Return the definition as plain types (for JSON), with each stage as albumentations serialises it."""
        definition = {"stages": {stage: A.to_dict(self._stages[stage]) for stage in STAGES}}
        return json.loads(json.dumps(definition))  # tuples become lists, as they will be when read again

    @property
    def reach(self) -> float:
        """Side of the source window, as a multiple of the patch's side, that covers the patch at any rotation."""
        return max([1.0, *(_reach(t) for t in self._stages["affine"].transforms)])

    @property
    def largest_zoom(self) -> float:
        """Largest factor by which the affine transform enlarges; at least 1."""
        return max([1.0, *(t.scale["x"][1] for t in self._stages["affine"].transforms)])

    def __call__(
        self,
        image: NDArray,
        truth: NDArray,
        seed: int,
        *,
        size: tuple[int, int] | None = None,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Transform an image and its truth.

        Args:
            image: `(H, W)` or `(H, W, 3)`, uint8, uint16 or float32 in [0, 1].
            truth: `(H, W)`, any integer dtype.
            seed: The same seed gives the same result.
            size: Rows and columns of the result, from the centre of the changed image; None keeps `(H, W)`.
            value_range: The values that the colour and intensity transforms treat as black and white, in unit range. A
                dark image of a few grey levels gets noise in proportion to these levels, not to the whole range.

        Returns:
            The image, float32 in unit range, `size` or `(H, W)` with the channels of `image`; and its truth, int32,
            with the values of `truth`. Nuclei that the geometry cut in two or mirrored keep their value.
        """
        size = size or image.shape[:2]
        with self._own_stages() as stages:
            return _change(stages, image, truth, seed, size, value_range)

    @contextmanager
    def _own_stages(self) -> Iterator[dict[Stage, A.Compose]]:
        # A pipeline holds its random state, so each call has its own copy. One copy per thread would not do: to Python,
        # a thread of TensorFlow's is a new thread at each call.
        try:
            stages = self._idle.pop()
        except IndexError:
            stages = copy.deepcopy(self._stages)
        try:
            yield stages
        finally:
            self._idle.append(stages)


def _change(
    stages: dict[Stage, A.Compose],
    image: NDArray,
    truth: NDArray,
    seed: int,
    size: tuple[int, int],
    value_range: tuple[float, float],
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    for stage, stage_seed in zip(STAGES, np.random.SeedSequence(seed).generate_state(len(STAGES)), strict=True):
        stages[stage].set_random_seed(int(stage_seed))
    for transform in stages["affine"].transforms:
        transform.window = size
    moved = stages["affine"](image=image, mask=truth.astype(np.int32, copy=False))
    moved = stages["geometry"](image=_center(moved["image"], size), mask=_center(moved["mask"], size))
    truth = moved["mask"]

    shown = [stages["intensity"]] if image.ndim == 2 else [stages["colour"], stages["intensity"]]
    unit = to_unit_float(np.ascontiguousarray(moved["image"]))
    if not any(stage.transforms for stage in shown):
        return unit, truth
    low = np.float32(value_range[0])
    span = np.float32(max(value_range[1] - value_range[0], 1e-6))
    stretched = (unit - low) / span
    inside = stretched.clip(0, 1)
    # albumentations clips to [0, 1]; the few pixels beyond the range keep their excess.
    beyond = stretched - inside
    for stage in shown:
        inside = stage(image=inside)["image"]
    return ((inside.clip(0, 1) + beyond) * span + low).clip(0, 1), truth


def _center(array: NDArray, size: tuple[int, int]) -> NDArray:
    top, left = center_offset(array.shape[:2], size)
    return array[top : top + size[0], left : left + size[1]]


def _reach(affine: WindowAffine) -> float:
    low, high = np.deg2rad(affine.rotate)
    angles = np.linspace(low, high, 181)
    corner = np.abs(np.cos(angles)) + np.abs(np.sin(angles))
    shear = 1 + np.tan(np.deg2rad(max(map(abs, affine.shear["x"]))))
    return float(corner.max() * shear / min(1.0, affine.scale["x"][0]))
