"""Experiments of ablation marks in the layout of am-segm: `<experiment>/<group>/source` and `mask`."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import DownloadError, InputError
from nucseg.datasets.base import DatasetInfo, RawSample
from nucseg.datasets.folders import image_files
from nucseg.datasets.sources import LocalFolder
from nucseg.images.io import read_image, read_labels

INFO = DatasetInfo(
    name="experiments",
    title="Experiments with masks of marks (am-segm's layout)",
    citation="",
    licence="yours",
    homepage="https://github.com/metaspace2020/am-segm",
    truth="classes",
)
SOURCE = LocalFolder

_SOURCE, _MASK = "source", "mask"


def fetch(source: LocalFolder, folder: Path) -> Path:
    """Return the folder; it is read in place.

    Args:
        source: The folder of the experiments.
        folder: Not used; nothing is copied.

    Raises:
        DownloadError: It holds no `<experiment>/<group>/source` with images.
    """
    if not any(image_files(group / _SOURCE) for group in _groups(source.path)):
        raise DownloadError(
            f"semantic.data_download.experiments.path: {source.path} has no images in "
            f"<experiment>/<group>/{_SOURCE}; masks of the same names must lie in <experiment>/<group>/{_MASK}."
        )
    return source.path


def raw_samples(folder: Path) -> Iterator[RawSample]:
    """List the samples: `<experiment>/<group>/source/<name>.*` with `<experiment>/<group>/mask/<name>.*`.

    Args:
        folder: What `fetch` returned.

    Yields:
        One sample for each source, named `<experiment>_<group>_<name>`; those of a group, which are parts of one image,
        are one case and so belong to one split.
    """
    for group in _groups(folder):
        masks = {path.stem: path for path in image_files(group / _MASK)}
        prefix = f"{group.parent.name}_{group.name}"
        for path in image_files(group / _SOURCE):
            name = f"{prefix}_{path.stem}"
            read = partial(_read, path, masks.get(path.stem), name)
            yield RawSample(image_id=name, read=read, modality="brightfield", case=prefix)


def _groups(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"*/*/{_SOURCE}") if path.is_dir())


def _read(image: Path, mask: Path | None, name: str) -> tuple[NDArray, NDArray, int]:
    if mask is None:
        raise InputError(f"{name}: has no mask {_MASK}/{image.stem}.png (or .tif, .jpg).")
    labels = read_labels(mask)
    values = np.unique(labels)
    if len(values) > 1 + (values[0] == 0):
        raise InputError(
            f"{name}: its mask has {len(values)} values ({', '.join(map(str, values[:3]))}, ...); it must have 0 and "
            "one other, as PNG or TIFF: JPEG blurs it."
        )
    return read_image(image), (labels > 0).astype(np.uint8), 0
