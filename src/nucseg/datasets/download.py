"""Fetch the chosen datasets to this machine."""

import logging
from pathlib import Path

from nucseg.datasets import DATASETS
from nucseg.datasets.config import Download

logger = logging.getLogger(__name__)


def download_datasets(config: Download, folder: Path) -> dict[str, Path]:
    """Fetch the chosen datasets, and log their licences and citations.

    Args:
        config: The datasets and their sources.
        folder: Parent of the folders `<dataset>` for the archives.

    Returns:
        Dataset name to its archive or folder, in the order of `config.datasets`.

    Raises:
        DownloadError: A dataset could not be fetched or is not the expected one.
        StorageError: An archive could not be written.
    """
    fetched = {}
    for name in config.datasets:
        dataset = DATASETS[name]
        fetched[name] = dataset.fetch(config.source(name), folder / name)
        if dataset.INFO.citation:
            logger.info("%s: licence: %s. Please cite %s.", name, dataset.INFO.licence, dataset.INFO.citation)
    return fetched
