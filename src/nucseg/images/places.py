"""The place of an image: its file system and path, and the name of its results."""

import errno
import hashlib
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from nucseg.core.errors import InputError

FILE_SUFFIXES = (
    *(".tif", ".tiff", ".btf", ".tf8", ".png", ".jpg", ".jpeg"),
    *(".svs", ".ndpi", ".scn", ".bif", ".mrxs", ".vms", ".vmu", ".svslide"),
    *(".czi", ".nd2", ".lif"),
)
"""What is taken for an image file in a folder."""

SUFFIXES = (*FILE_SUFFIXES, ".zarr")
"""The same, with the folders that are images."""

_LONGEST = 240  # bytes of a name; file systems allow 255, of which the suffixes of results need some
_ZARR_METADATA = ("zarr.json", ".zgroup", ".zarray")


def file_system(url: str) -> tuple[Any, str]:
    """Return the fsspec file system of a path or URL, and the path on it.

    A name without `scheme://` is a local path, whatever characters it contains, and never a chain of file systems
    (`a::b.tif`).
    """
    if "://" in url:
        return url_to_fs(url)
    path = Path(url).expanduser() if url.startswith("~/") else Path(url)
    return LocalFileSystem(), str(path.absolute())


def absolute(name: str) -> str:
    """Return the path of an image as a process in another folder finds it; a URL is unchanged."""
    return name if "://" in name else file_system(name)[1]


def is_local(files: Any) -> bool:
    """Return whether a file system is that of this machine."""
    return isinstance(files, LocalFileSystem)


def is_special(path: Path) -> bool:
    """Return whether a path is a pipe, a socket or a device, on which a reader may wait forever."""
    return path.exists() and not path.is_file() and not path.is_dir()


def check_file(path: Path, name: str) -> None:
    """Check that an existing path can be opened as a file.

    Args:
        path: A path on this machine; it need not exist.
        name: Name for messages.

    Raises:
        InputError: It is a link to itself or to nothing, or a pipe, a socket or a device.
    """
    if is_special(path):
        raise InputError(f"{name}: is a pipe, a socket or a device; give a file.")
    if path.is_symlink():
        try:
            path.stat()
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise InputError(f"{name}: is a link that leads back to itself; give the file.") from error
            if error.errno == errno.ENOENT:
                raise InputError(f"{name}: is a link to a file that does not exist ({path.readlink()}).") from error


def is_dicom_folder(path: Path) -> bool:
    """Return whether a folder holds DICOM files, which are the levels of one slide."""
    return path.is_dir() and any(path.glob("*.dcm"))


def is_image_folder(files: Any, path: str) -> bool:
    """Return whether a folder is one image: a Zarr array or group, or the DICOM files of a slide."""
    return is_zarr(files, path) or (is_local(files) and is_dicom_folder(Path(path)))


def is_http(url: str) -> bool:
    """Return whether a URL is a web address, which may have a query and percent-encoded characters."""
    return url.startswith(("http://", "https://"))


def is_zarr(files: Any, path: str) -> bool:
    """Return whether a place holds a Zarr array or group."""
    if is_local(files):
        return any(Path(path, name).is_file() for name in _ZARR_METADATA)
    if PurePosixPath(path).suffix.lower() in FILE_SUFFIXES or (is_http(path) and ("?" in path or "#" in path)):
        return False
    return any(_is_json(files, f"{path.rstrip('/')}/{name}") for name in _ZARR_METADATA)


def _is_json(files: Any, path: str) -> bool:
    """Return whether a response is a metadata file, not the page that some servers send for every address."""
    try:
        return bool(files.cat_file(path, start=0, end=64).lstrip()[:1] == b"{")
    except Exception:  # a file system may raise anything: opening the image will report it
        return False


def path_parts(url: str) -> list[str]:
    """Return the folders and the name of an image as parts of a result's path, the name without its suffix.

    A web address loses its query and fragment, and its percent-encoded characters are decoded.
    """
    if is_http(url):
        address = urlsplit(url)
        parts = [address.netloc, *map(unquote, address.path.split("/"))]
    elif "://" in url:
        parts = re.sub(r"\?versionId=[^/]*$", "", url.split("://", 1)[1]).split("/")
    else:
        parts = [part for part in Path(file_system(url)[1]).parts if part != os.sep]
    *folders, name = [part for part in parts if part] or ["image"]
    return [*map(_clean, folders), _clean(_without_suffix(name))]


def image_stem(url: str) -> str:
    """Return the name of an image without its suffix, after which its results are named."""
    return path_parts(url)[-1]


def _without_suffix(name: str) -> str:
    for suffix in (*SUFFIXES, ".ome"):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            name = name[: -len(suffix)]
    return name


def _clean(part: str) -> str:
    """Return a part of a path that is valid for any result: one file name, in UTF-8, with room for a suffix."""
    encoded = re.sub(r"[/\0-\x1f\x7f]", "_", part).encode("utf-8", "surrogateescape")
    name = encoded.decode(errors="replace")
    if name in ("", ".", ".."):
        return "image"
    if len(name.encode()) <= _LONGEST:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    return f"{name.encode()[: _LONGEST - 9].decode(errors='ignore')}-{digest}"
