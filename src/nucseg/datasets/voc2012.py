"""Pascal VOC 2012: everyday scenes with 20 classes of objects."""

import io
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.datasets.archives import find_or_fetch
from nucseg.datasets.base import SPLITS, Archive, DatasetInfo, RawSample
from nucseg.datasets.class_maps import decode_class_map
from nucseg.datasets.sources import FolderOrArchive
from nucseg.images.io import decode_image

ARCHIVE = Archive(
    url="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
    sha256=None,
    name="VOCtrainval_11-May-2012.tar",
    expected=(r"(^|/)JPEGImages/[^/]+\.jpg$", r"(^|/)SegmentationClass/[^/]+\.png$"),
    max_unpacked_bytes=8 * 2**30,
)
INFO = DatasetInfo(
    name="voc2012",
    title="Pascal VOC 2012 (train and val, segmentation)",
    citation=(
        "Everingham et al., The Pascal Visual Object Classes Challenge 2012 (VOC2012) results, "
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/"
    ),
    licence="images from Flickr, under its terms of use",
    homepage="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
    archive=ARCHIVE,
    truth="classes",
)
SOURCE = FolderOrArchive

_ENTRY = re.compile(r"(?:^|/)(JPEGImages/[^/]+\.jpg|SegmentationClass/[^/]+\.png|ImageSets/Segmentation/[^/]+\.txt)$")
# Validation images are chosen from the official training images by a hash; the official ones of val are the test.
_LISTS = {"train": ("train", "val"), "val": ("test",)}


def fetch(source: FolderOrArchive, folder: Path) -> Path:
    """Return the folder where it lies, or fetch the archive.

    Args:
        source: A folder, or path or address of the official tar, with `JPEGImages` and `SegmentationClass`.
        folder: Where an archive goes.

    Raises:
        DownloadError: It is neither.
    """
    return find_or_fetch(INFO, ARCHIVE, source, folder)


def raw_samples(archive: Path) -> Iterator[RawSample]:
    """List the samples: `JPEGImages/<id>.jpg` and `SegmentationClass/<id>.png`.

    Args:
        archive: What `fetch` returned: a folder, or a tar that stays open until the last sample is taken.

    Yields:
        One sample for each class map that `ImageSets/Segmentation/train.txt` or `val.txt` lists, which name its split;
        without these lists, one for each class map.

    Raises:
        InputError: There is no class map, or the tar is damaged.
    """
    with _opened(archive) as files:
        listed: dict[str, tuple[str, ...]] = {}
        for name, splits in _LISTS.items():
            if read := files.get(f"ImageSets/Segmentation/{name}.txt"):
                listed |= dict.fromkeys(read().decode("ascii", "replace").split(), splits)
        maps = sorted(Path(name).stem for name in files if name.startswith("SegmentationClass/"))
        if not maps:
            raise InputError(f"{archive}: holds no SegmentationClass/*.png; the layout is that of VOC2012.")
        for image_id in maps:
            if image_id in listed or not listed:
                yield RawSample(
                    image_id=image_id,
                    read=partial(_read, files, image_id),
                    modality="brightfield",
                    splits=listed.get(image_id, SPLITS),
                )


def _read(files: dict[str, Callable[[], bytes]], image_id: str) -> tuple[NDArray, NDArray, int]:
    image, classes = f"JPEGImages/{image_id}.jpg", f"SegmentationClass/{image_id}.png"
    if image not in files:
        raise InputError(f"{image_id}: has a class map but no image {image}.")
    pixels = decode_image(io.BytesIO(files[image]()), image)
    return pixels, decode_class_map(io.BytesIO(files[classes]()), classes, image_id), 0


@contextmanager
def _opened(archive: Path) -> Iterator[dict[str, Callable[[], bytes]]]:
    """Return what reads each file of the dataset, by its name in the official layout."""
    if archive.is_dir():
        paths = (path for path in archive.rglob("*") if path.is_file())
        named = ((_ENTRY.search(path.as_posix()), path) for path in paths)
        yield {match[1]: path.read_bytes for match, path in named if match}
        return
    try:
        with tarfile.open(archive, "r:") as tar:
            members = ((_ENTRY.search(member.name), member) for member in tar if member.isfile())
            yield {match[1]: partial(_extracted, tar, member) for match, member in members if match}
    except tarfile.TarError as error:
        raise InputError(f"{archive}: cannot be read as a tar ({error}). Fetch it again.") from error


def _extracted(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    return stream.read() if stream else b""
