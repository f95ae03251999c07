"""Near-duplicates: images that show parts of one field of view and must not be separated by the split.

Many images of BBBC038 are neighbouring tiles of one larger picture: the last line of one continues in the first line of
the other. Two images of one size belong to one group when

- they share a *seam*: across it, grey values change no more than between neighbouring lines inside the two images, and
  the two lines correlate; or
- their thumbnails correlate: copies, re-scaled intensities, consecutive frames; or
- their dataset says that they overlap (`RawSample.field`).

Of 563 images of BBBC038, 429 are in 120 groups of 2 to 14 and 134 are alone; put together, the large groups are
seamless fields of up to 4 x 4 tiles. A chance match is harmless: it only makes a group larger.

Remaining leaks: tiles that do not touch (diagonal ones whose common neighbours are absent), tiles whose common border
is empty background, crops that overlap at another offset or have another size, rotated or re-scaled copies, and
different fields of one well, slide or animal.
"""

import base64
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nucseg.images.channels import to_grey
from nucseg.images.intensity import to_unit_float

# Chosen on 563 images of BBBC038: these find 357 seams, while border lines that cannot meet (one of the two mirrored)
# pass 6 times. Thumbnails correlate above 0.98 in one pair (two frames of one embryo) and below 0.75 in all others.
MIN_SEAM_CORRELATION = 0.8
MAX_SEAM_STEP = 1.3
MIN_THUMBNAIL_CORRELATION = 0.95
# One grey level of 8 bit: a border with less contrast is background and carries no information.
_LEVEL = 1 / 255
_THUMBNAIL = 16


def fingerprint(image: NDArray) -> str:
    """Compute a short text with what the comparison needs to know about an image.

    Args:
        image: `(H, W)` or `(H, W, C)`, any integer dtype.

    Returns:
        Base64 of the zlib-compressed thumbnail, border lines and steps (root mean square difference between a border
        line and its neighbour), float16 in unit range; a few kilobytes.
    """
    grey = to_grey(to_unit_float(image))
    lines = [(grey[0], grey[min(1, len(grey) - 1)]), (grey[-1], grey[-min(2, len(grey))])]
    columns = grey.T
    lines += [(columns[0], columns[min(1, len(columns) - 1)]), (columns[-1], columns[-min(2, len(columns))])]
    steps = [np.sqrt(np.mean((line - neighbour) ** 2)) for line, neighbour in lines]
    thumbnail = cv2.resize(grey, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    values = np.concatenate([thumbnail.ravel(), *(line for line, _ in lines), steps])
    return base64.b64encode(zlib.compress(values.astype("<f2").tobytes())).decode("ascii")


def near_duplicate_groups(rows: pd.DataFrame) -> pd.Series:
    """Find the group of each image.

    Args:
        rows: Columns `image_id, height, width, fingerprint, field`, ids unique.

    Returns:
        For each row the smallest id of its group (its own if it is alone). It does not depend on the order of the rows,
        but on which images are present: without its smallest id, or without the tile that joins two parts, a group has
        another name.
    """
    n = len(rows)
    edges = [np.zeros((0, 2), np.intp)]
    position = pd.Series(np.arange(n), index=rows.index)
    for _, same_size in rows.groupby(["height", "width"]):
        height, width = (int(same_size[side].iloc[0]) for side in ("height", "width"))
        prints = np.stack([_decoded(text) for text in same_size["fingerprint"]])
        places = position[same_size.index].to_numpy()
        edges += [places[pairs] for pairs in _similar_pairs(prints, height, width)]
    for _, same_field in rows[rows["field"].notna()].groupby("field"):
        places = position[same_field.index].to_numpy()
        edges.append(np.column_stack([places[:-1], places[1:]]))
    first, second = np.concatenate(edges).T
    _, group = connected_components(coo_array((np.ones(len(first)), (first, second)), shape=(n, n)), directed=False)
    return rows["image_id"].groupby(group).transform("min")


def _decoded(text: str) -> NDArray[np.float32]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<f2").astype(np.float32)


def _similar_pairs(prints: NDArray[np.float32], height: int, width: int) -> Iterator[NDArray[np.intp]]:
    """Compare all images of one size; yield pairs of positions `(K, 2)`."""
    ends = np.cumsum([_THUMBNAIL**2, width, width, height, height])
    thumbnails, top, bottom, left, right, steps = np.split(prints, ends, axis=1)
    alike, _ = _correlations(thumbnails, thumbnails)
    yield np.argwhere(np.triu(alike >= MIN_THUMBNAIL_CORRELATION, k=1))
    top_step, bottom_step, left_step, right_step = steps.T
    yield _seams(bottom, bottom_step, top, top_step)
    yield _seams(right, right_step, left, left_step)


def _seams(
    before: NDArray[np.float32],
    before_step: NDArray[np.float32],
    after: NDArray[np.float32],
    after_step: NDArray[np.float32],
) -> NDArray[np.intp]:
    """Find where the last line of one image `(N, L)` continues in the first line of another."""
    correlation, contrast = _correlations(before, after)
    squares = (before**2).mean(axis=1)[:, None] + (after**2).mean(axis=1) - 2 * before @ after.T / before.shape[1]
    step = np.sqrt(np.maximum(squares, 0))
    usual = np.maximum((before_step[:, None] + after_step) / 2, _LEVEL / 2)
    seam = (correlation >= MIN_SEAM_CORRELATION) & (step <= MAX_SEAM_STEP * usual) & (contrast >= _LEVEL)
    np.fill_diagonal(seam, False)
    return np.argwhere(seam)


def _correlations(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Correlate all rows of `(N, L)` with all rows of `(M, L)`.

    Returns:
        The correlations `(N, M)`, 0 for a constant row, and the lower standard deviation of each pair `(N, M)`.
    """
    deviations = [rows - rows.mean(axis=1, keepdims=True) for rows in (first, second)]
    a, b = (np.sqrt((rows**2).mean(axis=1)) for rows in deviations)
    scale = np.maximum(a[:, None] * b, 1e-12) * first.shape[1]
    return deviations[0] @ deviations[1].T / scale, np.minimum(a[:, None], b)
