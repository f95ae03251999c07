"""Writing that leaves nothing half-made: to a temporary name first, then a rename."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nucseg.core.errors import StorageError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` (same suffix) that becomes `path` when the block ends well.

    Args:
        path: The file to be; its folder is made where it is missing.

    Yields:
        The temporary path to write to.

    Raises:
        StorageError: The disk is full, read-only or not permitted; nothing is left behind.
    """
    with _storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
            temporary = Path(folder) / path.name
            yield temporary
            os.replace(temporary, path)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder beside `path` that replaces `path` when the block ends well.

    Args:
        path: The folder to be; an older one of that name is removed only after the new one is whole.

    Yields:
        The temporary folder to fill.

    Raises:
        StorageError: The disk is full, read-only or not permitted; nothing is left behind.
    """
    with _storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
            temporary = Path(folder) / "new"
            temporary.mkdir()
            yield temporary
            if path.exists():
                os.replace(path, Path(folder) / "old")
            os.replace(temporary, path)


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # Errors of reading (a missing source file, a network) are not about the place that is written.
        import errno

        remedies = {
            errno.ENOSPC: "the disk is full; free space",
            errno.EDQUOT: "the disk quota is used up; free space",
            errno.EROFS: "the disk is read-only; choose another folder",
            errno.EACCES: "writing there is not permitted; change the permissions or choose another folder",
            errno.EPERM: "writing there is not permitted; change the permissions or choose another folder",
        }
        if error.errno not in remedies:
            raise
        free = shutil.disk_usage(path.anchor or ".").free // 2**20
        raise StorageError(f"{path}: {remedies[error.errno]} ({free} MiB free), then run again.") from error
