"""Fetch the chosen datasets to this machine."""

from pathlib import Path

from nucseg.datasets import DATASETS
from nucseg.datasets.config import DownloadConfig


def download_datasets(config: DownloadConfig, folder: Path) -> dict[str, Path]:
    """Fetch the chosen datasets.

    Args:
        config: Which datasets, from where.
        folder: Parent of the folders `<dataset>` that archives go to.

    Returns:
        Dataset name to its archive or folder, in the order of `config.datasets`.

    Raises:
        DownloadError: A dataset could not be fetched or is not what it should be.
        StorageError: An archive could not be written.
    """
    return {name: DATASETS[name].fetch(config.source(name), folder / name) for name in config.datasets}
