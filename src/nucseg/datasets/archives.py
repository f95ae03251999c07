"""Fetch the archive of a dataset: verified, atomic, and only once."""

import hashlib
import json
import logging
import os
import shutil
from pathlib import Path

from nucseg.core.errors import DownloadError
from nucseg.core.files import atomic_file
from nucseg.datasets.base import Archive, DatasetInfo
from nucseg.datasets.sources import ArchiveSource, FolderOrArchive
from nucseg.datasets.zips import check_archive

logger = logging.getLogger(__name__)

_TIMEOUT_S = 60  # without receiving a byte, not for the whole transfer


def fetch_archive(info: DatasetInfo, archive: Archive, source: ArchiveSource, folder: Path) -> Path:
    """Fetch one archive, or keep the existing one if it is right.

    `<archive>.json` beside the archive records the URL and the sha256 found at first use. The archive gets its name
    only when it is complete, verified and safe; after a failure the previous one is still there.

    Args:
        info: The dataset.
        archive: The expected archive.
        source: Address or path; the archive of a path is copied. Without a checksum, it is recorded at first use of
            this address and compared later.
        folder: Where the archive goes.

    Returns:
        The archive.

    Raises:
        DownloadError: There is no connection or no such file, or the archive is truncated, has a wrong checksum, is
            unsafe, or is not this dataset's.
        StorageError: The disk is full, read-only or not permitted.
    """
    path, url = folder / archive.name, source.url
    record_path = path.with_name(path.name + ".json")
    expected = source.sha256 or _recorded_sha256(record_path, url)
    if path.is_file() and _is_current(path, url, expected):
        logger.info("%s: %s already exists.", info.name, path)
        return path

    logger.info("%s: fetching %s", info.name, url)
    with atomic_file(path) as temporary:
        _fetch(info, url, temporary)
        found = _sha256(temporary)
        if expected and found != expected:
            raise DownloadError(
                _other_checksum(url, temporary, found, expected, None if source.sha256 else record_path)
            )
        check_archive(temporary, info, archive, url)
        # The record is written first: if the run is killed in between, the next one fetches again and compares.
        with atomic_file(record_path) as written:
            written.write_text(json.dumps({"url": url, "sha256": found}, indent=2) + "\n", encoding="utf-8")
    logger.info("%s: %s, %.1f MiB, sha256 %s", info.name, path, path.stat().st_size / 2**20, found)
    return path


def find_or_fetch(info: DatasetInfo, archive: Archive, source: FolderOrArchive, folder: Path) -> Path:
    """Return the folder where a dataset lies, which is read in place, or fetch its archive; see `fetch_archive`."""
    place = Path(source.url).expanduser()
    return place if place.is_dir() else fetch_archive(info, archive, source, folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _recorded_sha256(record: Path, url: str) -> str | None:
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        return content["sha256"] if content["url"] == url else None
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        logger.warning("%s cannot be read; the archive will be downloaded again.", record)
        return None


def _is_current(archive: Path, url: str, expected: str | None) -> bool:
    """Return whether the existing archive is the one that would be fetched."""
    if expected is None or _sha256(archive) != expected:
        return False
    source = _local_path(url)
    # A file on disk may have been replaced, which is cheap to check.
    return source is None or not source.is_file() or _sha256(source) == expected


def _local_path(url: str) -> Path | None:
    if url.startswith(("http://", "https://")):
        return None
    return Path(url.removeprefix("file://")).expanduser()


def _fetch(info: DatasetInfo, url: str, target: Path) -> None:
    import pooch
    import requests

    source = _local_path(url)
    if source is not None:
        if not source.is_file():
            raise DownloadError(
                f"{info.name}: there is no file {source.resolve()}. Correct data_download.{info.name}.url, or leave "
                "it out to download the official archive."
            )
        if not os.access(source, os.R_OK):
            raise DownloadError(f"{info.name}: {source.resolve()} is not readable. Change its permissions.")
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
            f"{info.name}: the download of {url} was interrupted ({_innermost(error)}). Nothing was kept; {remedy}"
        ) from error


def _innermost(error: BaseException) -> str:
    """Return the message of the first cause, without what the libraries in between added."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__


def _other_checksum(url: str, path: Path, found: str, expected: str, record: Path | None) -> str:
    size = f"{path.stat().st_size / 2**20:.1f} MiB"
    if record is None:
        return (
            f"{url}: the archive ({size}) has the sha256 {found}; expected was {expected}. The transfer was damaged, "
            "or it is another archive. Run again; if the error persists, compare the checksum with the publisher's."
        )
    return (
        f"{url}: the archive ({size}) has the sha256 {found}, but {expected} was recorded at first use. It has changed "
        f"since; if you trust the new one, delete {record} and run again."
    )
