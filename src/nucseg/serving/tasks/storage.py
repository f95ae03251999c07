"""Where uploads and results lie: a folder, or a bucket that several machines share."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from nucseg.core.errors import ConfigError, InputError
from nucseg.core.files import atomic_file

_CHUNK = 1 << 20


class Storage:
    """Files by key (`folder/name`) below an fsspec URL.

    Args:
        url: A folder, or `s3://bucket/prefix` (credentials and endpoint as boto3 finds them).

    Raises:
        ConfigError: There is no such kind of storage, or what it needs is not installed.
    """

    def __init__(self, url: str) -> None:
        local = "://" not in url
        options = {"auto_mkdir": True} if local or url.startswith("file:") else {"use_listings_cache": False}
        try:
            self._fs, root = url_to_fs(url, **options)
        except ImportError as error:
            raise ConfigError(f'storage: {url} needs a package: pip install -e ".[aws]" in the project.') from error
        except (ValueError, OSError) as error:
            raise ConfigError(f"storage: {url} cannot be used ({error}).") from error
        self._root = root.rstrip("/")

    def put(self, source: Path, key: str) -> None:
        """Store a file: whoever looks for the key meanwhile finds all of it or nothing.

        Raises:
            StorageError: A folder cannot be written to.
        """
        if isinstance(self._fs, LocalFileSystem):
            with atomic_file(Path(self._path(key))) as temporary:
                shutil.copyfile(source, temporary)
        else:  # an object of a bucket is there once it is whole
            self._fs.put_file(str(source), self._path(key))

    def get(self, key: str, target: Path) -> None:
        """Fetch a file.

        Raises:
            FileNotFoundError: There is none of this key.
        """
        self._fs.get_file(self._path(key), str(target))

    def open(self, key: str) -> tuple[Iterator[bytes], int]:
        """Open a file to read it in pieces.

        Returns:
            The pieces, and their bytes in all.

        Raises:
            FileNotFoundError: There is none of this key.
        """
        stream = self._fs.open(self._path(key), "rb")
        return _pieces(stream), int(self._fs.size(self._path(key)))

    def exists(self, key: str) -> bool:
        """Say whether there is a file of this key."""
        return bool(self._fs.isfile(self._path(key)))

    def delete(self, folder: str) -> None:
        """Remove a folder of files; one that is not there is no error."""
        try:
            self._fs.rm(self._path(folder), recursive=True)
        except FileNotFoundError:
            return

    def _path(self, key: str) -> str:
        parts = key.split("/")
        if not key or any(part in ("", ".", "..") for part in parts) or "\\" in key or "\0" in key:
            raise InputError(f"{key[:200]!r} is not a key; allowed are names joined by '/'.")
        return f"{self._root}/{key}"


def save(stream: IO[bytes], target: Path) -> None:
    """Write a stream into a file, piece by piece, from its start."""
    stream.seek(0)
    with target.open("wb") as file:
        shutil.copyfileobj(stream, file, _CHUNK)


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(_CHUNK):
            yield piece
