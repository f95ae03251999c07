"""The storage of uploads and results: a folder, or a bucket that several machines share."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from nucseg.core.errors import ConfigError, InputError
from nucseg.core.files import atomic_file
from nucseg.serving.errors import UnavailableError, unavailable
from nucseg.serving.temporary import temporary_folder

_CHUNK = 1 << 20
_DELETE_TRIES = 5
_WHAT = "the storage"
# Identifies the storage: the empty folder below an unmounted disk has none, or another one.
_MARK = ".nucseg"
_PROBE = bytes(1 << 16)
# A storage that does not answer is reported soon; the caller tries again.
_S3_CONFIG = {"connect_timeout": 2, "read_timeout": 10, "retries": {"mode": "standard", "total_max_attempts": 2}}


class Storage:
    """Files by key (`folder/name`) below an fsspec URL.

    Every method raises `UnavailableError` if the storage cannot be used (`NoRoomError`: it is full).

    Args:
        url: A folder, or `s3://bucket/prefix` (credentials and endpoint as boto3 finds them).

    Raises:
        ConfigError: There is no such kind of storage, or what it needs is not installed.
    """

    def __init__(self, url: str) -> None:
        local = "://" not in url or url.startswith("file:")
        options: dict[str, object] = {"auto_mkdir": True} if local else {"use_listings_cache": False}
        if url.startswith(("s3:", "s3a:")):
            options["config_kwargs"] = _S3_CONFIG
        try:
            self._fs, root = url_to_fs(url, **options)
        except ImportError as error:
            raise ConfigError(f'storage: {url} needs a package: pip install -e ".[aws]" in the project.') from error
        except (ValueError, OSError) as error:
            raise ConfigError(f"storage: {url} cannot be used ({error}).") from error
        self.url = url
        self._root = root.rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)
        self._marked = False  # whether its mark has been seen
        if url.startswith(("s3:", "s3a:")):
            self._fs.retries = 2  # of s3fs's own, around those of botocore

    def check(self) -> str | None:
        """Write something, to see whether the storage can be used.

        Returns:
            The mark that `mark` wrote; None if there is none; then nothing was written.
        """
        with self._errors():
            if self._local:
                if not Path(self._root).is_dir():
                    return None
                # A file without a name: nothing is left of it if the process is killed.
                with tempfile.TemporaryFile(dir=self._root) as file:
                    file.write(_PROBE)
                    file.flush()
                    os.fsync(file.fileno())
            try:
                found = self._fs.cat_file(self._path(_MARK))
            except FileNotFoundError:
                return None
            if not self._local:
                self._fs.pipe_file(self._path(_MARK), found)
            self._marked = True
            return str(found, "utf-8", "replace")

    def mark(self, name: str) -> None:
        """Write a name into the storage, by which `check` recognises it; a folder is made if it is missing."""
        with self._errors():
            if self._local:
                Path(self._root).mkdir(parents=True, exist_ok=True)
            self._fs.pipe_file(self._path(_MARK), name.encode())

    def put(self, source: Path, key: str) -> None:
        """Store a file: whoever looks for the key meanwhile finds all of it or nothing."""
        with self._errors():
            if self._local:
                self._missed()
                with atomic_file(Path(self._path(key))) as temporary:
                    shutil.copyfile(source, temporary)
            else:  # an object in a bucket appears once it is complete
                self._fs.put_file(str(source), self._path(key))

    def put_stream(self, stream: IO[bytes], key: str) -> None:
        """Store what a seekable stream holds, from its start, as `put` does."""
        stream.seek(0)
        if self._local:
            with self._errors():
                self._missed()
                with atomic_file(Path(self._path(key))) as temporary, temporary.open("wb") as file:
                    shutil.copyfileobj(stream, file, _CHUNK)
            return
        with temporary_folder() as folder:
            file_of_stream = folder / "upload"
            try:
                with file_of_stream.open("wb") as file:
                    shutil.copyfileobj(stream, file, _CHUNK)
            except OSError as error:
                raise unavailable("the temporary folder", error) from error
            self.put(file_of_stream, key)

    def get(self, key: str, target: Path) -> None:
        """Fetch a file.

        Raises:
            FileNotFoundError: There is no file with this key.
        """
        with self._errors(missing=True):
            self._fs.get_file(self._path(key), str(target))

    def open(self, key: str) -> tuple[Iterator[bytes], int]:
        """Open a file to read it in pieces.

        Returns:
            The pieces, and their bytes in all.

        Raises:
            FileNotFoundError: There is no file with this key.
        """
        with self._errors(missing=True):
            stream = self._fs.open(self._path(key), "rb")
            try:
                size = int(self._fs.size(self._path(key)))
            except BaseException:
                stream.close()
                raise
        return self._pieces(stream), size

    def exists(self, key: str) -> bool:
        """Return whether there is a file of this key."""
        with self._errors():
            return self._is_file(key)

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, in alphabetical order; none if there is no such folder."""
        with self._errors():
            try:
                return sorted(str(path).rsplit("/", 1)[-1] for path in self._fs.ls(self._path(folder), detail=False))
            except FileNotFoundError:
                return []

    def delete(self, folder: str) -> None:
        """Remove a folder of files, if it exists."""
        path = self._path(folder)
        with self._errors():
            for left in reversed(range(_DELETE_TRIES)):
                try:
                    self._fs.rm(path, recursive=True)
                except FileNotFoundError:  # or another process removes it at the same time
                    if left and self._fs.exists(path):
                        continue
                except OSError as error:
                    if left and error.errno == errno.ENOTEMPTY:  # a worker writes into it
                        continue
                    raise
                return

    def _path(self, key: str) -> str:
        parts = key.split("/")
        if not key or any(part in ("", ".", "..") for part in parts) or "\\" in key or "\0" in key:
            raise InputError(f"{key[:200]!r} is not a valid key; allowed are names joined by '/'.")
        return f"{self._root}/{key}"

    def _missed(self) -> None:
        """Raise an error if the folder existed before and is gone: it must not be recreated."""
        if self._marked and not Path(self._root).is_dir():
            raise FileNotFoundError(f"{self._root} is missing")

    def _is_file(self, key: str) -> bool:
        path = self._path(key)
        try:  # not fsspec's isfile, which treats every error as a no
            return bool(self._fs.info(path)["type"] == "file")
        except FileNotFoundError:
            return False

    def _pieces(self, stream: IO[bytes]) -> Iterator[bytes]:
        with self._errors(), stream:
            while piece := stream.read(_CHUNK):
                yield piece

    @contextmanager
    def _errors(self, *, missing: bool = False) -> Iterator[None]:
        """Convert any exception of the storage to `UnavailableError`.

        Args:
            missing: Whether `FileNotFoundError` means that a file is missing, not the storage itself.
        """
        try:
            yield
        except (InputError, UnavailableError):
            raise
        except FileNotFoundError as error:
            if missing:
                raise
            raise unavailable(_WHAT, error) from error
        except Exception as error:  # each kind of storage has its own
            raise unavailable(_WHAT, error) from error
