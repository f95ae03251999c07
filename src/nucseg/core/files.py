"""Atomic writing: to a temporary name first, then a rename, so that nothing half-written remains."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nucseg.core.errors import StorageError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Create a temporary path beside `path` (same suffix) that becomes `path` when the block ends well.

    Args:
        path: The file to write; its folder is created if it is missing.

    Yields:
        The temporary path to write to.

    Raises:
        StorageError: The disk is full, read-only or not permitted; nothing is left behind.
    """
    with _storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
            # A short, plain name: some libraries treat `::`, `?` or `%` in a path as parts of a URL.
            temporary = Path(folder) / f"new{path.suffix}"
            yield temporary
            os.replace(temporary, path)


@contextmanager
def atomic_folder(path: Path, *, keep: bool = False) -> Iterator[Path]:
    """Create an empty temporary folder beside `path` that replaces `path` when the block ends well.

    Args:
        path: The folder to write; an older one of that name is removed only after the new one is complete.
        keep: Whether a folder that another process has written in the meantime is kept instead.

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
            if path.exists() and not keep:
                os.replace(path, Path(folder) / "old")
            try:
                os.replace(temporary, path)
            except OSError:
                if not (keep and path.is_dir()):
                    raise


@contextmanager
def atomic_files(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yield a temporary folder whose files and folders move to `folder` together when the block ends well.

    Args:
        folder: The folder to fill; created if it is missing.
        names: Paths below it, of files and folders that the block writes; older ones are replaced.

    Yields:
        The temporary folder.

    Raises:
        StorageError: The disk is full, read-only or not permitted; `folder` is as it was.
    """
    with _storage_errors(folder / ".writing"):
        folder.mkdir(parents=True, exist_ok=True)
        writing = tempfile.TemporaryDirectory(dir=folder, prefix=".writing-")
    with writing as temporary, ExitStack() as undo:
        new = Path(temporary) / "new"
        try:
            new.mkdir()
            yield new
        except StorageError as error:  # reported for the final path
            raise StorageError(str(error).replace(str(new), str(folder))) from error
        for number, name in enumerate(names):
            path, old = folder / name, Path(temporary) / f"old-{number}"
            with _storage_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.is_dir() and not (new / name).is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
                if path.exists():
                    os.replace(path, old)
                    undo.callback(os.replace, old, path)
                os.replace(new / name, path)
                undo.callback(os.replace, path, new / name)
        undo.pop_all()


def check_writable(folder: Path) -> None:
    """Refuse a folder in which nothing can be written, before work is done for it; leave everything as it was.

    Raises:
        StorageError: It cannot be created, or nothing in it.
    """
    folder = folder.absolute()
    try:
        existing = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
        # Not the folder itself: of two runs at once, one would remove it under the other.
        with tempfile.TemporaryDirectory(dir=existing, prefix=".writing-") as temporary:
            for name in folder.relative_to(existing).parts:
                (Path(temporary) / name).mkdir(exist_ok=True)
    except OSError as error:
        raise _storage_error(folder, error) from error


_REMEDIES = {
    errno.ENOSPC: "the disk is full; free space",
    errno.EDQUOT: "the disk quota is used up; free space",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.EACCES: "writing there is not permitted; change the permissions or choose another folder",
    errno.EPERM: "writing there is not permitted; change the permissions or choose another folder",
    errno.EEXIST: "a file is in the place of a folder; move it away or choose another folder",
    errno.ENOTDIR: "a file is in the place of a folder; move it away or choose another folder",
    errno.EFBIG: "the disk takes no larger file; choose another folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "a link leads back to itself; choose another folder",
    errno.EISDIR: "a folder of that name already exists; move it away or choose another name",
}


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # Without a file's name, other errors may be those of an image that the block reads.
        if not _concerns(error, path) or (error.filename is None and error.errno not in _REMEDIES):
            raise
        raise _storage_error(path, error) from error


def _storage_error(path: Path, error: OSError) -> StorageError:
    remedy = _REMEDIES.get(error.errno or 0, f"cannot be written ({error.strerror}); choose another folder")
    existing = next(folder for folder in path.absolute().parents if _is_folder(folder))
    free = shutil.disk_usage(existing).free // 2**20
    return StorageError(f"{path}: {remedy} ({free} MiB free), then run again.")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # its name is too long
        return False


def _concerns(error: OSError, path: Path) -> bool:
    """Return whether an error concerns the path that is written, not a file that the block reads."""
    if error.filename is None:
        return True
    folder, named = path.absolute().parent, Path(os.fsdecode(error.filename)).absolute()
    return named.is_relative_to(folder) or folder.is_relative_to(named)
