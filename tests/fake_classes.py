"""A semantic segmenter that needs no network: the brightness of a pixel is the probability of class 1."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.core.window import Window


class Brightness:
    """With more classes than two, the others share what is left of class 0 equally."""

    in_channels = 1
    stride = 1
    halo = 0
    whole_images = False

    def __init__(self, classes: Sequence[str] = ("background", "mark"), max_side: int = 2048) -> None:
        self.classes = tuple(classes)
        self.max_side = max_side
        self.thresholds: dict[str, float] = {}
        self.seen: list[tuple[int, ...]] = []

    def probabilities(
        self, images: Sequence[NDArray[np.float32]], cores: Sequence[Window] | None = None
    ) -> list[NDArray[Any]]:
        windows = [Window.whole(image.shape) for image in images] if cores is None else cores
        found = []
        for image, window in zip(images, windows, strict=True):
            self.seen.append(image.shape)
            bright = image[window.slices][..., :1]
            others = [(1 - bright) / (len(self.classes) - 1)] * (len(self.classes) - 1)
            found.append(np.concatenate([others[0], bright, *others[1:]], axis=-1))
        return found
