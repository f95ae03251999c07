"""Fetch a dataset's archive: verified, atomic, and only once."""

import json
import logging
import os
import shutil
from pathlib import Path

import pooch
import requests

from nucseg.core.errors import DownloadError
from nucseg.core.files import atomic_file
from nucseg.datasets import DATASETS, demo, own
from nucseg.datasets.base import DatasetInfo
from nucseg.datasets.config import DownloadConfig
from nucseg.datasets.zips import check_archive

logger = logging.getLogger(__name__)

_TIMEOUT_S = 60  # without a byte, not for the whole transfer


def download_datasets(config: DownloadConfig, folder: Path) -> dict[str, Path]:
    """Fetch the archives of the chosen datasets.

    Args:
        config: Which datasets, from where.
        folder: Each archive goes to `folder/<dataset>/`.

    Returns:
        Dataset name to its archive, or of `own` its folder, in the order of `config.datasets`.

    Raises:
        DownloadError: An archive could not be fetched or is not what it should be.
        StorageError: An archive could not be written.
    """
    archives = {}
    for name in config.datasets:
        source = config.source(name)
        if source is not None:
            archives[name] = download(DATASETS[name].INFO, url=source.url, sha256=source.sha256, folder=folder / name)
        elif name == own.INFO.name and config.own is not None:
            archives[name] = own.check_folder(config.own.path)
        else:
            archives[name] = demo.make_archive(folder / name)
    return archives


def download(info: DatasetInfo, *, url: str, sha256: str | None, folder: Path) -> Path:
    """Fetch one archive, or keep the one that is there and right.

    Beside the archive lies `<archive>.json` with the URL and the sha256 that were found at first use. The archive gets
    its name only when it is whole, verified and safe; a failure leaves what was there before.

    Args:
        info: The dataset.
        url: http(s) address, `file://` address or path; the archive of a path is copied.
        sha256: Checksum; None to record it at first use of this URL and compare it later.
        folder: Where the archive goes.

    Returns:
        The archive.

    Raises:
        DownloadError: No connection, no such file, truncated, wrong checksum, unsafe or not this dataset's archive.
        StorageError: The disk is full, read-only or not permitted.
    """
    archive = folder / info.archive_name
    record_path = archive.with_name(archive.name + ".json")
    recorded = _recorded_sha256(record_path, url)
    expected = sha256 or recorded
    if archive.is_file() and _is_current(archive, url, expected):
        logger.info("%s: %s is there already.", info.name, archive)
        return archive

    logger.info("%s: fetching %s", info.name, url)
    with atomic_file(archive) as temporary:
        _fetch(info, url, temporary)
        found = pooch.file_hash(str(temporary))
        if expected and found != expected:
            raise DownloadError(_other_checksum(url, temporary, found, expected, None if sha256 else record_path))
        check_archive(temporary, info, url)
        # The record goes first: a run that is killed in between fetches again and compares.
        with atomic_file(record_path) as record:
            record.write_text(json.dumps({"url": url, "sha256": found}, indent=2) + "\n", encoding="utf-8")
    logger.info("%s: %s, %.1f MiB, sha256 %s", info.name, archive, archive.stat().st_size / 2**20, found)
    return archive


def _recorded_sha256(record: Path, url: str) -> str | None:
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        return content["sha256"] if content["url"] == url else None
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        logger.warning("%s cannot be read; the archive is fetched again.", record)
        return None


def _is_current(archive: Path, url: str, expected: str | None) -> bool:
    """Tell whether the archive that is there is the one that would be fetched."""
    if expected is None or pooch.file_hash(str(archive)) != expected:
        return False
    source = _local_path(url)
    # A file on disk may have been made anew; that is cheap to see.
    return source is None or not source.is_file() or pooch.file_hash(str(source)) == expected


def _local_path(url: str) -> Path | None:
    if url.startswith(("http://", "https://")):
        return None
    return Path(url.removeprefix("file://")).expanduser()


def _fetch(info: DatasetInfo, url: str, target: Path) -> None:
    source = _local_path(url)
    if source is not None:
        if not source.is_file():
            raise DownloadError(
                f"{info.name}: there is no file {source.resolve()}. Correct data_download.{info.name}.url, "
                "or leave it out to fetch the official archive."
            )
        if not os.access(source, os.R_OK):
            raise DownloadError(f"{info.name}: {source.resolve()} may not be read. Change its permissions.")
        shutil.copyfile(source, target)
        return
    remedy = (
        "run again, or fetch the file by other means and give its path: "
        f"--params data_download.datasets={info.name},data_download.{info.name}.url=<path>"
    )
    try:
        pooch.HTTPDownloader(progressbar=True, timeout=_TIMEOUT_S)(url, str(target), None)
    except requests.HTTPError as error:
        raise DownloadError(
            f"{info.name}: the server refused the file ({error}). "
            f"Check the address against {info.homepage}, then {remedy}"
        ) from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise DownloadError(
            f"{info.name}: no connection to {url} ({_innermost(error)}). Check the network and the proxy, then {remedy}"
        ) from error
    except requests.RequestException as error:
        raise DownloadError(
            f"{info.name}: the transfer of {url} broke off ({_innermost(error)}). Nothing was kept; {remedy}"
        ) from error


def _innermost(error: BaseException) -> str:
    """Say what happened, without the wrappings of the libraries in between."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__


def _other_checksum(url: str, path: Path, found: str, expected: str, record: Path | None) -> str:
    size = f"{path.stat().st_size / 2**20:.1f} MiB"
    if record is None:
        return (
            f"{url}: the archive ({size}) has the sha256 {found}, expected is {expected}. The transfer was damaged or "
            "the archive is another; run again, and if it stays so compare the checksum with the publisher's."
        )
    return (
        f"{url}: the archive ({size}) has the sha256 {found}, but {expected} was recorded at first use. It was changed "
        f"since; if you trust the new one, delete {record} and run again."
    )
