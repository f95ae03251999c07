"""Temporary folders that are soon removed after their process, however it ends."""

import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nucseg.serving.errors import unavailable

_PREFIX = "nucseg-"
_LOCK = ".lock"
_UNLOCKED_SECONDS = 3600
_LONGEST_PATH = 75  # bytes: an address of a Unix socket has 108 of them, and multiprocessing adds up to 33
_PROBE = bytes(1 << 16)
_log = logging.getLogger(__name__)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Create a folder that is removed after the block, or by `sweep_temporary` if the process is killed.

    Yields:
        The folder, empty except for the lock that shows that its process is alive.

    Raises:
        UnavailableError: It cannot be created.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)
    except OSError as error:
        raise unavailable("the temporary folder", error) from error
    with folder as name:
        try:
            lock = (Path(name) / _LOCK).open("wb")
        except OSError as error:
            raise unavailable("the temporary folder", error) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Path(name)


def sweep_temporary() -> None:
    """Remove the temporary folders of this user whose processes are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if folder.is_dir() and folder.stat().st_uid == os.getuid() and _abandoned(folder):
                shutil.rmtree(folder)
                _log.info("Removed %s, left behind by a killed process.", folder)
        except OSError:  # another process was faster
            continue


def check_temporary() -> None:
    """Check that temporary files can be written, and that sockets between processes fit into their folder's path.

    Raises:
        UnavailableError: They cannot, or the path is too long.
    """
    try:
        if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_PATH:
            raise OSError(f"{tempfile.gettempdir()} is longer than {_LONGEST_PATH} bytes; set TMPDIR to a shorter path")
        with tempfile.TemporaryFile() as file:
            file.write(_PROBE)
            file.flush()
    except OSError as error:
        raise unavailable("the temporary folder", error) from error


def _abandoned(folder: Path) -> bool:
    lock = folder / _LOCK
    if not lock.exists():  # it is being created, or was created by an earlier version
        return time.time() - folder.stat().st_mtime > _UNLOCKED_SECONDS
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
