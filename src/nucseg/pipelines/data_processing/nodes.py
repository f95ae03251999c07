"""Nodes of data_processing."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from nucseg.datasets.config import ProcessingConfig
from nucseg.datasets.processing import assign_splits, convert_datasets

Partitions = dict[str, np.ndarray]


def convert(
    archives: dict[str, str], config: ProcessingConfig
) -> Iterator[tuple[Partitions, Partitions, pd.DataFrame, pd.DataFrame]]:
    """Convert every sample to the canonical form, a few at a time, so that memory stays flat.

    Args:
        archives: Dataset name to the path of its archive.
        config: The preprocessing transforms and the rules of the split.

    Yields:
        Images and label images by `<dataset>/<image_id>`, the facts of all samples so far, the rejected ones so far.
    """
    for chunk in convert_datasets({name: Path(path) for name, path in archives.items()}, config):
        yield chunk.images, chunk.labels, chunk.converted, chunk.rejected


def split(converted: pd.DataFrame, config: ProcessingConfig) -> pd.DataFrame:
    """Assign each sample to train, val or test; near-duplicates stay together.

    Args:
        converted: The facts of all samples.
        config: The rules of the split.

    Returns:
        The manifest.
    """
    return assign_splits(converted, config)
