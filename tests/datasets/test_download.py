import zipfile
from pathlib import Path
from typing import Any

from nucseg.datasets.config import DownloadConfig
from nucseg.datasets.download import download_datasets


def test_download_datasets_gives_each_its_folder(
    server: Any, bbbc038_zip: Path, s_bsst265_zip: Path, tmp_path: Path
) -> None:
    server.body = bbbc038_zip.read_bytes()
    config = DownloadConfig.model_validate(
        {
            "datasets": ["s_bsst265", "bbbc038", "demo"],
            "bbbc038": {"url": server.url},
            "s_bsst265": {"url": str(s_bsst265_zip)},
        }
    )

    archives = download_datasets(config, tmp_path)

    assert archives == {
        "s_bsst265": tmp_path / "s_bsst265" / "dataset.zip",
        "bbbc038": tmp_path / "bbbc038" / "stage1_train.zip",
        "demo": tmp_path / "demo" / "demo.zip",
    }
    assert all(zipfile.is_zipfile(path) for path in archives.values())
