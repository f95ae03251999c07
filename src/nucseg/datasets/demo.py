"""The demonstration: the one annotated image that the stardist package ships, in four quadrants."""

import importlib.util
import io
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import DownloadError
from nucseg.core.files import atomic_file
from nucseg.datasets.base import DatasetInfo, RawSample
from nucseg.datasets.zips import read_entry
from nucseg.images.io import decode_image, decode_labels
from nucseg.masks.labels import relabel

INFO = DatasetInfo(
    name="demo",
    title="Demonstration: one image of BBBC038 in four quadrants",
    citation=(
        "Caicedo et al., Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl, "
        "Nature Methods 16, 2019; shipped with stardist as stardist.data.test_image_nuclei_2d"
    ),
    licence="CC0 1.0",
    homepage="https://github.com/stardist/stardist",
)

SOURCE = None

_ARCHIVE_NAME = "demo.zip"
# Row and column of each quadrant, and its split. Parts of one field, so the test quadrant is not an independent test.
_QUADRANTS = (
    ("top_left", 0, 0, "train"),
    ("top_right", 0, 1, "train"),
    ("bottom_left", 1, 0, "val"),
    ("bottom_right", 1, 1, "test"),
)


def fetch(source: None, folder: Path) -> Path:
    """Write an archive of the image and its label image from the installed stardist package, without importing it.

    Args:
        source: Not used; there is nothing to choose.
        folder: Where `demo.zip` goes.

    Returns:
        The archive.

    Raises:
        DownloadError: The stardist package or its image is not installed.
        StorageError: The archive cannot be written.
    """
    spec = importlib.util.find_spec("stardist")
    images = [Path(place) / "data" / "images" for place in (spec and spec.submodule_search_locations) or []]
    if not images or not (images[0] / "mask2d.tif").is_file():
        raise DownloadError(
            "The demonstration image is part of the stardist package; install it: pip install stardist."
        )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in ("img2d.tif", "mask2d.tif"):
            # A fixed date, so that the archive is the same each time.
            archive.writestr(zipfile.ZipInfo(name), (images[0] / name).read_bytes())
    path = folder / _ARCHIVE_NAME
    if not path.is_file() or path.read_bytes() != content.getvalue():
        with atomic_file(path) as temporary:
            temporary.write_bytes(content.getvalue())
    return path


def raw_samples(archive: Path) -> Iterator[RawSample]:
    """List the four quadrants of 256x256 pixels (uint16): two train, one val, one test.

    Args:
        archive: What `fetch` returned.

    Yields:
        The quadrants in row-major order.
    """
    with zipfile.ZipFile(archive) as opened:
        for name, row, column, split in _QUADRANTS:
            yield RawSample(
                image_id=name, read=partial(_read, opened, row, column), modality="fluorescence", splits=(split,)
            )


def _read(archive: zipfile.ZipFile, row: int, column: int) -> tuple[NDArray, NDArray[np.int32], int]:
    image = decode_image(read_entry(archive, "img2d.tif"), "img2d.tif")
    labels = decode_labels(read_entry(archive, "mask2d.tif"), "mask2d.tif")
    rows, columns = (side // 2 for side in labels.shape)
    window = np.s_[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns]
    return image[window], relabel(labels[window]), 0
