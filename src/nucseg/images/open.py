"""Any image by its path or URL, and what a folder or a pattern stands for."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec.core import url_to_fs

from nucseg.core.checks import check_image
from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.io import open_stream
from nucseg.images.planes import Channel, check_channel
from nucseg.images.source import ImageSource

SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".svs", ".png", ".jpg", ".jpeg", ".zarr")
"""What is taken for an image in a folder."""


def open_image(url: str | Path, channel: Channel = None) -> ImageSource:
    """Open an image; the pixels of a large TIFF or of an OME-Zarr are read when they are asked for.

    Args:
        url: A path, or a URL of any kind that fsspec knows (`s3://`, `https://`, `gs://`, ...).
        channel: Name or number (from 0) of the channel, page or plane to take; None takes a grey or a colour image.

    Raises:
        InputError: It is missing, unreadable or not one image, or has no such channel; the message names it.
    """
    name, channel = str(url), check_channel(channel)
    try:
        source = _opened(name, channel)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{name}: there is no such file. Check the path.") from error
    except PermissionError as error:
        raise InputError(f"{name}: may not be read ({error}). Check its permissions, or your credentials.") from error
    except Exception as error:  # a decoder or a file system meets trouble with whatever exception
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"{name}: cannot be read ({why}). It is damaged or of another format.") from error
    if 0 in source.shape or len(source.shape) not in (2, 3) or source.dtype.kind not in "buif":
        check_image(source.read(Window.whole(source.shape)), name)  # raises, saying why
    return source


def _opened(name: str, channel: Channel) -> ImageSource:
    files, path = url_to_fs(name)
    if _is_zarr(files, path):
        from nucseg.images.ome_zarr import open_zarr

        return open_zarr(name, name, channel)
    if files.isdir(path):
        raise InputError(f"{name}: is a folder without an OME-Zarr image. Give its images.")
    is_local = "file" in (files.protocol if isinstance(files.protocol, tuple) else (files.protocol,))
    stream = files.open(path, "rb")
    source = open_stream(stream, name, channel, path=Path(path) if is_local else None)
    if is_local:  # a TIFF has been opened by its path
        stream.close()
    return source


def find_images(inputs: Sequence[str]) -> list[str]:
    """Replace folders and patterns by the images in them, sorted; everything else stays, whether it is there or not.

    Args:
        inputs: Files, folders, OME-Zarr images and patterns (`*`, `?`, `[…]`, `**`), also as URLs.

    Returns:
        Paths and URLs, each once.

    Raises:
        InputError: A folder or a pattern has no image, or its file system cannot be asked.
    """
    found: dict[str, None] = {}
    for given in inputs:
        try:
            found |= dict.fromkeys(_expanded(given))
        except InputError:
            raise
        except Exception as error:  # whatever a remote file system says
            raise InputError(f"{given}: cannot be listed ({type(error).__name__}: {error}).") from error
    return list(found)


def _expanded(given: str) -> list[str]:
    files, path = url_to_fs(given)
    if any(sign in path for sign in "*?[") and not files.exists(path):
        names = sorted(files.glob(path))
        kind = "no file matches it"
    elif "://" not in given and Path(given).is_dir() and not _is_zarr(files, path):
        names = [str(each) for each in sorted(Path(given).iterdir())]
        kind = "the folder holds no image"
    elif given.endswith("/") and not _is_zarr(files, path):
        names = sorted(files.ls(path, detail=False))
        kind = "the folder holds no image"
    else:
        return [given]
    images = [each for each in names if PurePosixPath(each).suffix.lower() in SUFFIXES]
    if not images:
        raise InputError(f"{given}: {kind}; images end in {', '.join(SUFFIXES)}.")
    return [files.unstrip_protocol(each) if "://" in given else each for each in images]


def _is_zarr(files: Any, path: str) -> bool:
    return any(files.exists(f"{path.rstrip('/')}/{name}") for name in ("zarr.json", ".zgroup", ".zarray"))


def image_stem(url: str) -> str:
    """Give the name of an image without its suffix: what its results are called."""
    name = PurePosixPath(url.rstrip("/").split("?")[0]).name
    for suffix in (*SUFFIXES, ".ome"):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            name = name[: -len(suffix)]
    return name
