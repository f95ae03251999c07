"""Drawn dots: an example of a dataset in an archive of its own layout."""

import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nucseg.datasets.archives import fetch_archive
from nucseg.datasets.base import Archive, DatasetInfo, RawSample
from nucseg.datasets.sources import ArchiveSource
from nucseg.datasets.zips import read_entry
from nucseg.images.io import decode_image, decode_labels

ARCHIVE = Archive(
    url="https://example.org/dots.zip",
    sha256=None,
    name="dots.zip",
    expected=(r"^labels/\w+\.tif$",),
    max_unpacked_bytes=2**20,
)
INFO = DatasetInfo(
    name="dots",
    title="Drawn dots",
    citation="Nobody, Dots, 2026",
    licence="CC0 1.0",
    homepage="https://example.org",
    archive=ARCHIVE,
)
SOURCE = ArchiveSource


def fetch(source: ArchiveSource, folder: Path) -> Path:
    """Fetch the archive; see `fetch_archive`."""
    return fetch_archive(INFO, ARCHIVE, source, folder)


def raw_samples(archive: Path) -> Iterator[RawSample]:
    """List the samples: `images/<id>.tif` and `labels/<id>.tif`."""
    with zipfile.ZipFile(archive) as opened:
        for name in sorted(Path(entry).stem for entry in opened.namelist() if entry.startswith("images/")):
            yield RawSample(image_id=name, read=partial(_read, opened, name), modality="fluorescence")


def _read(archive: zipfile.ZipFile, name: str) -> tuple[NDArray, NDArray[np.int32], int]:
    image, labels = (f"{folder}/{name}.tif" for folder in ("images", "labels"))
    return decode_image(read_entry(archive, image), image), decode_labels(read_entry(archive, labels), labels), 0
