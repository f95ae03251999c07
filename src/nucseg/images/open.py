"""Open any image by its path or URL."""

from pathlib import Path

from nucseg.core.checks import check_image
from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.io import open_stream
from nucseg.images.places import check_file, file_system, is_local, is_zarr
from nucseg.images.planes import Channel, check_channel
from nucseg.images.source import ImageSource


def open_image(url: str | Path, channel: Channel = None) -> ImageSource:
    """Open an image; the pixels of a large TIFF or of an OME-Zarr are read when they are needed.

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
        raise InputError(f"{name}: access is denied ({error}). Check its permissions, or your credentials.") from error
    except Exception as error:  # a decoder or a file system may raise any exception
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"{name}: cannot be read ({why}). The file is damaged or of another format.") from error
    if 0 in source.shape or len(source.shape) not in (2, 3) or source.dtype.kind not in "buif":
        check_image(source.read(Window.whole(source.shape)), name)  # raises, saying why
    return source


def _opened(name: str, channel: Channel) -> ImageSource:
    files, path = file_system(name)
    if is_zarr(files, path):
        from nucseg.images.ome_zarr import open_zarr

        return open_zarr(Path(path) if is_local(files) else name, name, channel)
    if is_local(files):
        check_file(Path(path), name)
    if files.isdir(path):
        raise InputError(f"{name}: is a folder without an OME-Zarr image. Give the paths of its images.")
    stream = files.open(path, "rb")
    source = open_stream(stream, name, channel, path=Path(path) if is_local(files) else None)
    if is_local(files):  # a TIFF has been opened by its path
        stream.close()
    return source
