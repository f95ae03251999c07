"""The table of a field: one row per nucleus, computed window by window, so that memory does not grow with the image."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from skimage.measure import regionprops_table

from nucseg.core.window import Window
from nucseg.images.stains import separated
from nucseg.inference.instances.stitched import LabelBlock
from nucseg.measurements.field import Field
from nucseg.measurements.intensity import statistics
from nucseg.measurements.regions import RING_GAP, RING_WIDTH, context, nearest
from nucseg.measurements.shape import shape_columns

_SIDE = 1024  # pixels: nuclei whose boxes begin in the same square of this side are measured together
_INTENSITY = ("intensity_mean", "intensity_min", "intensity_max")


def measure(field: Field) -> Iterator[pd.DataFrame]:
    """Measure the nuclei of a field.

    Args:
        field: The nuclei, and what is measured of them.

    Yields:
        Rows of some nuclei, in the order of their labels: `label` (numbered through all planes), `score`, shape and
        position, and intensities; the columns are those that `docs/predict.md` lists. Without a nucleus, one table
        without rows.
    """
    if not len(field.nuclei):
        one = np.ones((1, 1), np.int32)
        yield _rows(field, Window(0, 0, 1, 1), one, one, np.ones(1, np.int64), np.zeros(1)).iloc[:0]
    for block in field.nuclei.blocks():
        rows = pd.concat([_measured(field, block, members) for members in _neighbours(block)])
        rows = rows.sort_values("label", ignore_index=True)
        rows["label"] = field.numbered(rows["label"].to_numpy())
        yield rows


def _neighbours(block: LabelBlock) -> list[NDArray[np.intp]]:
    """Sort the numbers of a block's nuclei into groups of such as lie near each other."""
    boxes = find_objects(block.labels)
    squares = np.array([[side.start // _SIDE for side in box] for box in boxes])
    _, groups = np.unique(squares, axis=0, return_inverse=True)
    return [np.flatnonzero(groups.ravel() == group) + 1 for group in range(groups.max() + 1)]


def _measured(field: Field, block: LabelBlock, members: NDArray[np.intp]) -> pd.DataFrame:
    numbers = np.zeros(len(block.scores) + 1, np.int32)
    numbers[members] = np.arange(1, len(members) + 1)
    own = numbers[block.labels]
    rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
    inner = Window(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    box = Window(*(edge + start for edge, start in zip(inner, block.window[:2] * 2, strict=True)))
    reach = _reach(field)
    window = box.grown(2 * context(reach, field.spacing) if reach else 0, field.nuclei.shape)
    around = np.zeros(window.shape, np.int32)
    around[box.within(window).slices] = own[inner.slices]
    everyone = field.nuclei.obstacles.labels(window) if reach else around
    return _rows(field, window, around, everyone, members + block.first - 1, block.scores[members - 1])


def _reach(field: Field) -> float:
    """Return how far from a nucleus pixels are looked at."""
    return field.expansion + RING_GAP + RING_WIDTH if field.channels else field.expansion


def _rows(
    field: Field,
    window: Window,
    own: NDArray[np.int32],
    everyone: NDArray[np.int32],
    labels: NDArray[np.int64],
    scores: NDArray,
) -> pd.DataFrame:
    """Measure the nuclei 1..n of a window.

    Args:
        field: The field.
        window: With all nuclei, and what is looked at around them.
        own: Label image of these nuclei in the window.
        everyone: Label image of all nuclei in the window, of whatever numbers.
        labels: `(n,)`, the numbers in the whole image.
        scores: `(n,)`.
    """
    count = len(labels)
    pixel_size = field.source.pixel_size
    shape = shape_columns(own, window, field.nuclei.shape, pixel_size)
    columns: dict[str, Any] = {"label": labels, "score": scores.astype(np.float64), **shape}
    if not field.channels:
        image = separated(field.source).read(window)
        columns |= {
            # Intensities have the same dtype for every image, so that their tables make one.
            name: values.astype(np.float64)
            for name, values in regionprops_table(own, image, _INTENSITY).items()
        }
    regions = _regions(field, own, everyone)
    for name in ("cell", "ring"):
        if name in regions:
            area = np.bincount(regions[name].ravel(), minlength=count + 1)[1:]
            columns[f"{name}_area"] = area.astype(np.float64)
            if pixel_size:
                columns[f"{name}_area_um2"] = area * pixel_size[0] * pixel_size[1]
    for channel in field.channels:
        columns |= _intensities(regions, channel.source.read(window), count, channel.name)
    return pd.DataFrame(columns)


def _regions(field: Field, own: NDArray[np.int32], everyone: NDArray[np.int32]) -> dict[str, NDArray[np.int32]]:
    """Find nucleus, cell (where there are cells) and ring (where channels are measured) of each nucleus."""
    regions = {"nucleus": own}
    if not _reach(field):
        return regions
    distances, places = nearest(everyone, field.spacing)
    owner = own[places]  # 0 where another nucleus is the nearest
    if field.expansion:
        regions["cell"] = np.where(distances <= field.expansion, owner, 0)
    if field.channels:
        inner = field.expansion + RING_GAP
        regions["ring"] = np.where((distances > inner) & (distances <= inner + RING_WIDTH), owner, 0)
    return regions


def _intensities(
    regions: dict[str, NDArray[np.int32]], image: NDArray, count: int, channel: str
) -> dict[str, NDArray[np.float64]]:
    found = {region: statistics(labels, image, count) for region, labels in regions.items()}
    background = found["ring"]["median"]
    columns: dict[str, NDArray[np.float64]] = {}
    for region, measured in found.items():
        area = np.bincount(regions[region].ravel(), minlength=count + 1)[1:]
        measured["mean_corrected"] = measured["mean"] - background
        measured["integrated_corrected"] = measured["integrated"] - background * area
        columns |= {f"{region}_{name}_{channel}": values for name, values in measured.items()}
    return columns
