"""From the nuclei of a slide to its mitoses: each nucleus a patch, each patch a probability."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from nucseg.core.points import first_of_close
from nucseg.core.window import Window
from nucseg.images.source import ImageSource
from nucseg.inference.instances.stitched import LabelBlock, StitchedLabels
from nucseg.inference.mitoses.config import FIELD_MM2, MERGED_UM
from nucseg.inference.mitoses.densest import Field, densest_field
from nucseg.inference.mitoses.patches import PatchReader
from nucseg.models.protocols import PatchClassifier

_BATCH = 256  # patches at a time: 3 MB
_ROWS = 256  # pixels; nuclei are classified from left to right in bands of so many rows
_CENTROID = ("centroid-0", "centroid-1")
_CENTROID_UM = ("centroid-0_um", "centroid-1_um")
_NOTHING = LabelBlock(Window(0, 0, 1, 1), np.zeros((1, 1), np.int32), 1, np.zeros(0, np.float32))


@dataclass(frozen=True)
class Mitoses:
    """The mitoses of a slide.

    Attributes:
        name: Name of the slide in messages.
        shape: (rows, columns) of the slide.
        pixel_size: Micrometres per pixel, (row, column).
        nuclei: Number of nuclei that were classified.
        threshold: Probability from which on a nucleus is a mitosis.
        table: One row a mitosis, by decreasing probability: `label` (of the nucleus), `probability`, `score` (of the
            nucleus), `centroid-0` and `centroid-1` (row and column in pixels, the centre of the first one being 0),
            `centroid-0_um` and `centroid-1_um` (from the upper left corner of the slide), `area` and `area_um2`.
    """

    name: str
    shape: tuple[int, int]
    pixel_size: tuple[float, float]
    nuclei: int
    threshold: float
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    @property
    def points_um(self) -> NDArray[np.float64]:
        """Row and column of each mitosis in micrometres, `(N, 2)`."""
        return self.table[list(_CENTROID_UM)].to_numpy(np.float64)

    @property
    def area_mm2(self) -> float:
        """Area of the image, glass included."""
        return float(np.prod(self.shape) * np.prod(self.pixel_size)) / 1e6

    @property
    def per_mm2(self) -> float:
        """Mitoses per square millimetre of the image."""
        return len(self) / self.area_mm2

    @cached_property
    def densest(self) -> Field | None:
        """The circle of `FIELD_MM2`, in micrometres, that holds most mitoses; None without any or on a smaller image.

        It may reach over the border of the image.
        """
        return densest_field(self.points_um, FIELD_MM2 * 1e6) if self.area_mm2 >= FIELD_MM2 else None


def find_mitoses(
    nuclei: StitchedLabels,
    source: ImageSource,
    classifier: PatchClassifier,
    threshold: float | None = None,
    *,
    progress: Callable[[int], None] = lambda classified: None,
) -> Mitoses:
    """Classify the nuclei of a slide, tile by tile, and merge mitoses that are close together.

    Args:
        nuclei: The nuclei.
        source: The slide; see `check_slide`.
        classifier: The model.
        threshold: Probability from which on a nucleus is a mitosis; None takes the classifier's own.
        progress: Called with the number of nuclei that have been classified, after each batch; an exception that it
            raises ends it.
    """
    assert source.pixel_size is not None, "check_slide refuses it"
    threshold = classifier.thresholds["probability"] if threshold is None else threshold
    reader = PatchReader(source, classifier.patch_size, classifier.pixel_size)
    found, classified = [_measured(_NOTHING, source.pixel_size)], 0
    for block in nuclei.blocks():
        frame = _measured(block, source.pixel_size)
        for start in range(0, len(frame), _BATCH):
            some = frame.iloc[start : start + _BATCH]
            probabilities = classifier.classify(reader.patches(some[list(_CENTROID)].to_numpy()))
            some = some.assign(probability=probabilities.astype(np.float64))
            found.append(some[probabilities >= np.float32(threshold)])
            classified += len(some)
            progress(classified)
    table = pd.concat(found, ignore_index=True)
    return Mitoses(
        source.name, (source.shape[0], source.shape[1]), source.pixel_size, classified, threshold, _merged(table)
    )


def _measured(block: LabelBlock, pixel_size: tuple[float, float]) -> pd.DataFrame:
    """Measure the nuclei of a block, in an order in which those of a batch lie close together."""
    numbers = np.arange(1, len(block.scores) + 1)
    centroids = np.array(ndimage.center_of_mass(block.labels > 0, block.labels, numbers)).reshape(-1, 2)
    centroids += block.window[:2]
    areas = np.bincount(block.labels.ravel(), minlength=len(numbers) + 1)[1:]
    frame = pd.DataFrame({"label": numbers + block.first - 1, "probability": 1.0, "score": block.scores.astype(float)})
    frame[list(_CENTROID)] = centroids
    # The centre of the first pixel lies half a pixel from the image's corner.
    frame[list(_CENTROID_UM)] = (centroids + 0.5) * pixel_size
    frame["area"] = areas
    frame["area_um2"] = areas * np.prod(pixel_size)
    return frame.iloc[np.lexsort((centroids[:, 1], centroids[:, 0] // _ROWS))]


def _merged(table: pd.DataFrame) -> pd.DataFrame:
    """Of mitoses that are close to each other keep the most probable one; sort by decreasing probability."""
    table = table.sort_values(["probability", "label"], ascending=[False, True], ignore_index=True)
    return table[first_of_close(table[list(_CENTROID_UM)].to_numpy(), MERGED_UM)].reset_index(drop=True)
