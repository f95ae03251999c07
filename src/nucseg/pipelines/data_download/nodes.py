"""Nodes of data_download."""

from pathlib import Path

from nucseg.datasets.config import DownloadConfig
from nucseg.datasets.download import download_datasets


def download(raw_folder: Path, config: DownloadConfig) -> dict[str, str]:
    """Fetch the chosen datasets; what is there already is not fetched again.

    Args:
        raw_folder: Where the archives go, one folder a dataset.
        config: Which datasets, from where.

    Returns:
        Dataset name to the path of its archive.
    """
    return {name: str(path) for name, path in download_datasets(config, raw_folder).items()}
