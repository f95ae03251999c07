"""Nodes of data_download."""

from pathlib import Path

from nucseg.datasets.config import DownloadConfig, PatchesDownload, SemanticDownload
from nucseg.datasets.download import download_datasets


def download(raw_folder: Path, config: DownloadConfig) -> dict[str, str]:
    """Fetch the chosen datasets; existing archives are not fetched again.

    Args:
        raw_folder: Folder for the archives, with one subfolder per dataset.
        config: The datasets and their sources.

    Returns:
        Dataset name to the path of its archive.
    """
    return {name: str(path) for name, path in download_datasets(config, raw_folder).items()}


def download_points(raw_folder: Path, config: PatchesDownload) -> dict[str, str]:
    """Fetch the chosen datasets of annotated points, as `download` does those of label images.

    Args:
        raw_folder: Where the archives go, one folder a dataset.
        config: Which datasets, from where.

    Returns:
        Dataset name to the path of its archive.
    """
    return {name: str(path) for name, path in download_datasets(config, raw_folder).items()}


def download_classes(raw_folder: Path, config: SemanticDownload) -> dict[str, str]:
    """Fetch the chosen datasets of semantic segmentation, as `download` does those of label images.

    Args:
        raw_folder: Where the archives go, one folder a dataset.
        config: Which datasets, from where.

    Returns:
        Dataset name to the path of its archive.
    """
    return {name: str(path) for name, path in download_datasets(config, raw_folder).items()}
