"""The connected regions of a mask: marks, several marks in one, pieces of marks, and debris."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.vq import kmeans2
from scipy.spatial import KDTree
from scipy.spatial.distance import pdist

from nucseg.masks.labels import relabel

# Beyond these multiples of the usual area, a region is not one whole mark.
_SMALLEST, _LARGEST = 0.4, 1.5
_MOST_MERGED = 4
_THINNEST, _MAX_SAMPLES = 0.6, 200
# Marks are hardly ever closer than this; where more than this share is, they are pieces that this gap may separate. All
# in distances of marks.
_TOO_CLOSE, _MOST_PIECES, _WIDEST_GAP = 0.4, 0.03, 0.2


@dataclass(frozen=True)
class Regions:
    """Regions 1..N of a mask; entry `i` of each array belongs to region `i + 1`.

    Attributes:
        labels: (H, W) int32, 0 outside.
        areas: (N,) pixels.
        centres: (N, 2) mean (y, x) of the pixels, in pixels; that of a crescent may lie outside it.
        windows: (N,) bounding boxes.
    """

    labels: NDArray[np.int32]
    areas: NDArray[np.int64]
    centres: NDArray[np.float64]
    windows: list[tuple[slice, slice]]

    def usual_area(self, cells: int) -> float:
        """Return the median area of the `cells` largest regions: hardly changed by specks, stains and merged marks."""
        return float(np.median(np.sort(self.areas)[-cells:]))

    def whole_marks(self, area: float) -> NDArray[np.bool_]:
        """Return which regions, (N,), have about this area and may be one mark."""
        return (self.areas >= _SMALLEST * area) & (self.areas <= _LARGEST * area)

    def likely_centres(self, area: float) -> NDArray[np.float64]:
        """Return where marks of about this area may be, (M, 2): whole ones, and the parts of merged ones.

        Parts are found by k-means, at most as many as the region has areas of a mark; a part that is much thinner than
        a mark is a bridge. Where parts are too close together for marks, the region is one large mark.
        """
        whole = np.flatnonzero(self.whole_marks(area))
        merged = np.flatnonzero((self.areas > _LARGEST * area) & (self.areas < (_MOST_MERGED + 0.5) * area))
        if len(whole) < 2 or len(merged) == 0:
            return self.centres[whole]
        thickness = np.median(
            [self._depths(index).max() for index in whole[:: max(len(whole) // _MAX_SAMPLES, 1)].tolist()]
        )
        pitch = np.median(KDTree(self.centres[whole]).query(self.centres[whole], k=2)[0][:, 1])
        parts = []
        for index in merged.tolist():
            depths = self._depths(index)
            pixels = np.argwhere(depths)
            # Bridges have an area, too: as many parts as have room beside each other.
            for number in range(max(round(self.areas[index] / area), 2), 1, -1):
                middles, part = kmeans2(pixels.astype(np.float64), number, minit="++", rng=0)
                if pdist(middles).min() >= _TOO_CLOSE * pitch:
                    deepest = np.zeros(number)
                    np.maximum.at(deepest, part, depths[tuple(pixels.T)])
                    start = [side.start for side in self.windows[index]]
                    parts.append(middles[deepest >= _THINNEST * thickness] + start)
                    break
            else:
                parts.append(self.centres[[index]])
        return np.concatenate([self.centres[whole], *parts])

    def _depths(self, index: int) -> NDArray[np.float32]:
        """Return how far each pixel of a region is from its border, in its window."""
        inside = self.labels[self.windows[index]] == index + 1
        return cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1].astype(
            np.float32, copy=False
        )


def join_pieces(regions: Regions, cells: int) -> Regions:
    """Join regions that are close together, if many lie where only one mark has room: marks may be in pieces.

    Args:
        regions: The regions of a mask.
        cells: Marks that there are at most.

    Returns:
        Joined regions, hardly any of them closer together than marks; the same ones where no distance gives that.
    """
    whole = regions.whole_marks(regions.usual_area(cells))
    if not whole.any():  # two regions, whose median is the size of neither
        return regions
    extent = np.ptp(regions.centres[whole], axis=0) + np.sqrt(regions.areas[whole].mean())
    pitch = float(np.sqrt(extent.prod() / cells))
    if _share_of_pieces(regions, cells, pitch) <= _MOST_PIECES:
        return regions
    mask = regions.labels > 0
    away = ndimage.distance_transform_edt(~mask)
    for gap in np.linspace(0, _WIDEST_GAP * pitch, 9)[1:]:
        labels, _ = ndimage.label(away <= gap / 2, np.ones((3, 3), int), output=np.int32)
        joined = find_regions(labels * mask)
        if _share_of_pieces(joined, cells, pitch) <= _MOST_PIECES:
            return joined
    return regions


def _share_of_pieces(regions: Regions, cells: int, pitch: float) -> float:
    """Return the share of regions of the size of a mark that are too close to another one."""
    centres = regions.centres[regions.whole_marks(regions.usual_area(cells))]
    if len(centres) < 2:
        return 0.0
    return float((KDTree(centres).query(centres, k=2)[0][:, 1] < _TOO_CLOSE * pitch).mean())


def find_regions(mask: NDArray) -> Regions:
    """Find the regions of a mask.

    Args:
        mask: (H, W) bool: regions are 8-connected; or a label image of an integer dtype: each label is a region.

    Returns:
        The regions; a label image's are renumbered 1..N in the order of their labels.
    """
    if mask.dtype == bool:
        labels, count = ndimage.label(mask, np.ones((3, 3), int), output=np.int32)
    else:
        labels = relabel(mask)
        count = int(labels.max())
    areas, centres = areas_and_centres(labels, count)
    return Regions(labels, areas, centres, ndimage.find_objects(labels))


def areas_and_centres(labels: NDArray[np.int32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Compute the areas of labels, and the middles of their pixels.

    Args:
        labels: (H, W), 0 outside.
        count: The largest label that there may be.

    Returns:
        (count,) pixels, and (count, 2) mean (y, x), NaN of a label that is not there.
    """
    rows, columns = np.nonzero(labels)
    flat = labels[rows, columns]
    areas = np.bincount(flat, minlength=count + 1)[1:]
    sums = np.stack([np.bincount(flat, along, minlength=count + 1)[1:] for along in (rows, columns)], axis=1)
    centres = np.divide(sums, areas[:, None], out=np.full((count, 2), np.nan), where=areas[:, None] > 0)
    return areas, centres
