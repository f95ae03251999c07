import logging
import zipfile
from pathlib import Path
from typing import Any

import pytest

from nucseg.datasets import DATASETS
from nucseg.datasets.config import DownloadConfig
from nucseg.datasets.download import download_datasets


def test_each_dataset_goes_to_its_folder_and_says_what_to_cite(
    server: Any, bbbc038_zip: Path, s_bsst265_zip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.body = bbbc038_zip.read_bytes()
    config = DownloadConfig.model_validate(
        {
            "datasets": ["s_bsst265", "bbbc038", "demo"],
            "bbbc038": {"url": server.url},
            "s_bsst265": {"url": str(s_bsst265_zip)},
        }
    )

    archives = download_datasets(config, tmp_path)
    for name in config.datasets:
        info = DATASETS[name].INFO
        assert f"{name}: licence: {info.licence}. Please cite {info.citation}" in caplog.text

    assert archives == {
        "s_bsst265": tmp_path / "s_bsst265" / "dataset.zip",
        "bbbc038": tmp_path / "bbbc038" / "stage1_train.zip",
        "demo": tmp_path / "demo" / "demo.zip",
    }
    assert all(zipfile.is_zipfile(path) for path in archives.values())
