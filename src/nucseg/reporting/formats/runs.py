"""Run lengths of nuclei that come in groups, in the frame of the whole image."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nucseg.inference.instances.stitched import LabelBlock, StitchedLabels
from nucseg.masks.rle import kaggle_runs


def nucleus_runs(nuclei: StitchedLabels) -> Iterator[tuple[LabelBlock, list[NDArray[np.int64]]]]:
    """Yield each group with its nuclei's runs in the whole image, as `nucseg.masks.rle.kaggle_runs` defines them."""
    height = nuclei.shape[0]
    for group in nuclei.blocks():
        # A row of background below keeps runs from continuing past the end of a column of the group's window.
        padded = np.pad(group.labels, ((0, 1), (0, 0)))
        runs = []
        for found in kaggle_runs(padded):
            columns, rows = np.divmod(found[:, 0] - 1, padded.shape[0])
            starts = (columns + group.window.left) * height + rows + group.window.top + 1
            runs.append(_joined(starts, found[:, 1]))
        yield group, runs


def _joined(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join runs of which one begins where the other ends, at the end of a column of the whole image."""
    begins = np.concatenate([[True], starts[1:] != starts[:-1] + lengths[:-1]])
    return np.stack([starts[begins], np.add.reduceat(lengths, np.flatnonzero(begins))], axis=1)
