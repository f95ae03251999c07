"""Open any image by its path or URL."""

import importlib.util
from pathlib import Path

from nucseg.core.errors import InputError
from nucseg.images.content import Content, reading
from nucseg.images.dicom import SUFFIX, open_dicom
from nucseg.images.io import stream_content
from nucseg.images.microscopes import is_microscope_file, open_microscope_file
from nucseg.images.openslide_file import SUFFIXES, open_slide
from nucseg.images.places import check_file, file_system, is_dicom_folder, is_local, is_zarr
from nucseg.images.plane_choice import Plane
from nucseg.images.planes import Channel, check_channel
from nucseg.images.scanners import OverlappingTilesError
from nucseg.images.scenes import Scene, choose_scene
from nucseg.images.source import ImageSource


def open_image(url: str | Path, channel: Channel = None, plane: Plane = (), scene: Scene = None) -> ImageSource:
    """Open an image; the pixels of a large TIFF or of an OME-Zarr are read when they are needed.

    Args:
        url: A path, or a URL of any kind that fsspec knows (`s3://`, `https://`, `gs://`, ...).
        channel: Name or number (from 0) of the channel, page or plane to take; None takes a grey or a colour image.
        plane: What is taken along depth, time or another axis; see `Content.image`.
        scene: Name or number of the image in a file that holds several; None takes the only one.

    Raises:
        InputError: It is missing, unreadable or not one image, or has no such channel, plane or scene; the message
            names it.
    """
    channel = check_channel(channel)
    return open_content(url, scene).image(channel, plane)


def open_content(url: str | Path, scene: Scene = None) -> Content:
    """Open a file without choosing a channel or a plane.

    Args:
        url: As of `open_image`.
        scene: As of `open_image`.

    Raises:
        InputError: It is missing or unreadable, or has no such scene.
    """
    name = str(url)
    with reading(name):
        files, path = file_system(name)
        if is_zarr(files, path):
            from nucseg.images.ome_zarr import open_zarr

            return open_zarr(Path(path) if is_local(files) else name, name, scene)
        if is_local(files):
            check_file(Path(path), name)
            if content := _by_extra(Path(path), name):
                choose_scene(scene, [""], name)
                return content
        if files.isdir(path):
            raise InputError(f"{name}: is a folder without an OME-Zarr image. Give the paths of its images.")
        if is_microscope_file(path):
            return open_microscope_file(Path(path) if is_local(files) else None, name, scene)
        stream = files.open(path, "rb")
        try:
            return stream_content(stream, name, scene, path=Path(path) if is_local(files) else None)
        except OverlappingTilesError:
            if is_local(files) and importlib.util.find_spec("openslide"):
                return open_slide(Path(path), name)
            raise
        finally:
            if is_local(files):  # a TIFF has been opened by its path
                stream.close()


def _by_extra(path: Path, name: str) -> Content | None:
    """Open a slide of a kind that an extra reads; None for any other file or folder."""
    if path.suffix.lower() in SUFFIXES and path.exists():
        return open_slide(path, name)
    if is_dicom_folder(path) or (path.suffix.lower() == SUFFIX and path.exists()):
        return open_dicom(path, name)
    return None
