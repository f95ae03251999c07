"""Instance segmenters that need no network: what a function finds in an image is what they propose."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nucseg.core.placement import SAME, Placement
from nucseg.core.types import Instances
from nucseg.core.window import Window


class Nucleus(NamedTuple):
    """A proposal: its score, its pixels (row, column) and the middle of its box."""

    score: float
    pixels: NDArray[np.int64]
    middle: NDArray[np.float64]


class WholeNuclei:
    """The two steps of a segmenter for a class that has `find(image) -> Instances` and `thresholds`."""

    in_channels = 1
    stride = 1
    halo = 0
    max_side = 2048

    def propose(
        self,
        images: Sequence[NDArray[np.float32]],
        thresholds: Mapping[str, float],
        cores: Sequence[Window] | None = None,
    ) -> list[list[Nucleus]]:
        windows = [Window.whole(image.shape) for image in images] if cores is None else cores
        proposed = []
        for image, window in zip(images, windows, strict=True):
            found = self.find(image)  # type: ignore[attr-defined]
            nuclei = []
            for number, box in enumerate(ndimage.find_objects(found.labels), start=1):
                if box is None or found.scores[number - 1] < np.float32(thresholds["score"]):
                    continue
                corners = np.array([[side.start, side.stop] for side in box])
                pixels = np.argwhere(found.labels[box] == number) + corners[:, 0] - window[:2]
                nuclei.append(Nucleus(float(found.scores[number - 1]), pixels, corners.mean(1) - window[:2]))
            proposed.append(self.join([(nuclei, Window.whole(window.shape))], Window.whole(window.shape)))
        return proposed

    def join(self, parts: Sequence[tuple[list[Nucleus], Window]], window: Window) -> list[Nucleus]:
        joined = []
        for nuclei, place in parts:
            shift = np.subtract(place[:2], window[:2])
            for score, pixels, middle in nuclei:
                if ((middle + shift >= 0) & (middle + shift < window.shape)).all():
                    joined.append(Nucleus(score, pixels + shift, middle + shift))
        return sorted(joined, key=lambda nucleus: (-nucleus.score, *nucleus.middle))

    def max_radius(self, proposals: list[Nucleus]) -> int:
        return max((int(np.ptp(nucleus.pixels, axis=0).max()) + 1 for nucleus in proposals), default=0)

    def decode(
        self,
        proposals: list[Nucleus],
        shape: tuple[int, int],
        thresholds: Mapping[str, float],
        placement: Placement = SAME,
    ) -> Instances:
        rows, columns = (
            ((np.arange(side) + 0.5 - offset) / factor).astype(int)
            for side, offset, factor in zip(shape, placement.offset, placement.scale, strict=True)
        )
        frame = (rows[-1] + 1, columns[-1] + 1)
        labels = np.zeros(frame, np.int32)
        scores = []
        for score, pixels, _ in proposals:
            inside = pixels[((pixels >= 0) & (pixels < frame)).all(1)]
            free = inside[labels[tuple(inside.T)] == 0]
            if len(free):
                scores.append(score)
                labels[tuple(free.T)] = len(scores)
        drawn = Instances(labels[np.ix_(rows, columns)], np.array(scores, np.float32))
        return drawn.from_area(max(placement.area(thresholds.get("area", 0)), 1))


class FakeSegmenter(WholeNuclei):
    """A segmenter made of a function; `seen` holds every image that it was shown."""

    def __init__(self, find: Callable[[NDArray[np.float32]], Instances], **facts: Any) -> None:
        self._find = find
        self.thresholds = {"score": 0.5}
        self.seen: list[NDArray[np.float32]] = []
        vars(self).update(facts)

    def find(self, image: NDArray[np.float32]) -> Instances:
        self.seen.append(image)
        return self._find(image)
