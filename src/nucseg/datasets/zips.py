"""Archives: refused when unsafe or damaged; zips are read without unpacking."""

import io
import re
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nucseg.core.errors import DownloadError, InputError
from nucseg.datasets.base import Archive, DatasetInfo

_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError)
# Images compress 2 to 20 times; below the floor no harm is done whatever the ratio.
_MAX_RATIO = 100
_RATIO_FLOOR_BYTES = 100 * 2**20


def check_archive(path: Path, info: DatasetInfo, archive: Archive, source: str) -> None:
    """Refuse an archive that is unsafe, damaged or another dataset's.

    Args:
        path: The zip, or the tar if the archive is one; it may still have a temporary name.
        info: The dataset.
        archive: What it must contain.
        source: The URL or path it came from, for the message.

    Raises:
        DownloadError: It is no archive, is truncated or corrupt, or is a zip bomb; an entry has an absolute name or
            leads out of the folder; an expected file is missing.
    """
    kind, read = ("tar", _tar_entries) if archive.name.endswith(".tar") else ("zip", _zip_entries)
    try:
        entries, damaged = read(path)
    except _DAMAGE as error:
        raise DownloadError(
            f"{source}: is not a complete {kind} archive ({error}). The download was interrupted or this is another "
            "file; run again, or check the URL."
        ) from error
    _check_names(entries, source)
    _check_sizes(entries, path.stat().st_size, info, archive, source)
    _check_expected(entries, info, archive, source)
    if damaged:
        raise DownloadError(f"{source}: the entry {damaged} is corrupt (its checksum differs). Fetch it again.")


def read_entry(archive: zipfile.ZipFile, name: str) -> io.BytesIO:
    """Read one entry into memory.

    Raises:
        InputError: The entry is damaged.
    """
    try:
        return io.BytesIO(archive.read(name))
    except _DAMAGE as error:
        raise InputError(f"{name}: is damaged in the archive ({error}). Fetch the archive again.") from error


@dataclass(frozen=True)
class _Entry:
    """A file of an archive: its name, the name as it is written there, and its bytes."""

    name: str
    stored: str
    size: int


def _zip_entries(path: Path) -> tuple[list[_Entry], str | None]:
    """Return the entries of a zip, and the name of one whose checksum differs."""
    with zipfile.ZipFile(path) as opened:
        # The original name: zipfile cuts it at a null byte and replaces this system's separator.
        entries = [_Entry(entry.filename, entry.orig_filename, entry.file_size) for entry in opened.infolist()]
        total = sum(entry.size for entry in entries)
        is_bomb = total > max(_RATIO_FLOOR_BYTES, _MAX_RATIO * path.stat().st_size)
        return entries, None if is_bomb else opened.testzip()


def _tar_entries(path: Path) -> tuple[list[_Entry], None]:
    """Return the entries of a tar, which has no checksums of its files."""
    with tarfile.open(path, "r:") as opened:
        return [_Entry(entry.name, entry.name, entry.size) for entry in opened], None


def _check_names(entries: list[_Entry], source: str) -> None:
    for entry in entries:
        name = entry.stored.replace("\\", "/")
        if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in PurePosixPath(name).parts or "\0" in name:
            raise DownloadError(
                f"{source}: contains the entry {entry.stored!r}, which would be unpacked outside its folder. "
                "Do not use this archive; use the official one."
            )


def _check_sizes(entries: list[_Entry], packed: int, info: DatasetInfo, archive: Archive, source: str) -> None:
    unpacked = sum(entry.size for entry in entries)
    if unpacked > archive.max_unpacked_bytes or unpacked > max(_RATIO_FLOOR_BYTES, _MAX_RATIO * packed):
        raise DownloadError(
            f"{source}: unpacks from {packed / 2**20:.1f} MiB to {unpacked / 2**20:.0f} MiB; allowed for {info.name} "
            f"are {archive.max_unpacked_bytes / 2**20:.0f} MiB and {_MAX_RATIO} times the archive. "
            "It looks like a zip bomb; do not use it; use the official archive."
        )


def _check_expected(entries: list[_Entry], info: DatasetInfo, archive: Archive, source: str) -> None:
    names = [entry.name for entry in entries]
    missing = [pattern for pattern in archive.expected if not any(re.search(pattern, name) for name in names)]
    if missing:
        example = f"it contains, for example, {names[0]!r}" if names else "it is empty"
        raise DownloadError(
            f"{source}: no entry matches {' and '.join(missing)} ({example}). It is not the archive of {info.title}; "
            f"check the address against {info.homepage}."
        )
