"""BBBC038: the nuclei of the 2018 Data Science Bowl."""

import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.datasets.archives import fetch_archive
from nucseg.datasets.base import Archive, DatasetInfo, RawSample
from nucseg.datasets.sources import ArchiveSource
from nucseg.datasets.zips import read_entry
from nucseg.images.channels import canonical_channels
from nucseg.images.io import decode_image
from nucseg.masks.labels import labels_from_masks

ARCHIVE = Archive(
    url="https://data.broadinstitute.org/bbbc/BBBC038/stage1_train.zip",
    sha256=None,
    name="stage1_train.zip",
    expected=(r"[^/]+/images/[^/]+\.png$", r"[^/]+/masks/[^/]+\.png$"),
    max_unpacked_bytes=4 * 2**30,
)
INFO = DatasetInfo(
    name="bbbc038",
    title="BBBC038 (Data Science Bowl 2018, stage 1 training images)",
    citation=(
        "Caicedo et al., Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl, "
        "Nature Methods 16, 2019, doi:10.1038/s41592-019-0612-7; "
        "image set BBBC038v1 of the Broad Bioimage Benchmark Collection (Ljosa et al., Nature Methods 2012)"
    ),
    licence="CC0 1.0",
    homepage="https://bbbc.broadinstitute.org/BBBC038",
    archive=ARCHIVE,
)
SOURCE = ArchiveSource

_ENTRY = re.compile(r"(?:^|/)(?P<image_id>[\w.-]+)/(?P<kind>images|masks)/[^/.][^/]*\.png$", re.IGNORECASE)

# Two brightfield images share 44 % of their area. An exhaustive search over all shifts of all pairs of one size in 563
# of the images found no other pair; `duplicates` looks for shared borders and identical fields only.
_OVERLAPPING = (
    "5e263abff938acba1c0cff698261c7c00c23d7376e3ceacc3d5d4a655216b16d",
    "8f94a80b95a881d0efdec36affc915dca9609f4cba8134c4a91b219d418778aa",
)


def fetch(source: ArchiveSource, folder: Path) -> Path:
    """Fetch the archive; see `fetch_archive`."""
    return fetch_archive(INFO, ARCHIVE, source, folder)


def raw_samples(archive: Path) -> Iterator[RawSample]:
    """List the samples: `<id>/images/<id>.png` with one `<id>/masks/<any>.png` per nucleus, in the order of the ids.

    Args:
        archive: The zip file; it is read in place and stays open until the last sample is taken.

    Yields:
        One sample per id; the split is chosen by the id, and the modality is derived from the pixels.
    """
    entries: dict[str, dict[str, list[str]]] = defaultdict(lambda: {"images": [], "masks": []})
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            if match := _ENTRY.search(name):
                entries[match["image_id"]][match["kind"].lower()].append(name)
        for image_id in sorted(entries):
            found = entries[image_id]
            yield RawSample(
                image_id=image_id,
                read=partial(_read, opened, image_id, found["images"], found["masks"]),
                field="overlapping-brightfield" if image_id in _OVERLAPPING else None,
            )


def _read(
    archive: zipfile.ZipFile, image_id: str, images: list[str], masks: list[str]
) -> tuple[NDArray, NDArray[np.int32], int]:
    if len(images) != 1:
        raise InputError(f"{image_id}: has {len(images)} images; exactly one is expected in its folder `images`.")
    if not masks:
        raise InputError(f"{image_id}: has no masks.")
    image = decode_image(read_entry(archive, images[0]), images[0])
    labels, n_overlap = labels_from_masks((_read_mask(archive, name) for name in masks), image.shape[:2])
    return image, labels, n_overlap


def _read_mask(archive: zipfile.ZipFile, name: str) -> NDArray[np.bool_]:
    mask = canonical_channels(decode_image(read_entry(archive, name), name)) != 0
    return mask if mask.ndim == 2 else mask.any(axis=2)
