"""Images and what is outlined in them in two folders, as samples of the dataset `own` or `own_classes`."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from nucseg.core.errors import InputError
from nucseg.core.types import Sample
from nucseg.datasets import annotations, own, own_classes
from nucseg.datasets.config import ProcessingConfig
from nucseg.datasets.folders import SUFFIXES, files
from nucseg.datasets.manifest import read_manifest, write_manifest
from nucseg.datasets.processing import COLUMNS, convert_datasets
from nucseg.images.io import write_image, write_labels


@dataclass(frozen=True)
class Paired:
    """Images of which nuclei or classes are known.

    Attributes:
        samples: The samples, all of the test split.
        facts: Their rows of `CONVERTED_COLUMNS`.
        rejected: Why others were left out, by name.
    """

    samples: list[Sample]
    facts: pd.DataFrame
    rejected: dict[str, str]


def pair_images(images: Path, labels: Path, folder: Path, *, classes: tuple[str, ...] | None = None) -> Paired:
    """Convert images and their nuclei, or classes, to the canonical form, as `data_processing` does.

    Args:
        images: Folder of the images.
        labels: Folder of files named like the images: nuclei as `nucseg.datasets.annotations` reads them, or class maps
            and outlined areas as `nucseg.datasets.own_classes` does.
        folder: Where converted images, labels and manifest are written.
        classes: Names of the classes, from 0 on; None for nuclei.

    Raises:
        InputError: A folder does not exist or has no file that could be read, both are the same, or no image can be
            used.
    """
    dataset, name, suffixes = (
        (own_classes, "classes", own_classes.MAP_SUFFIXES) if classes else (own, "labels", annotations.SUFFIXES)
    )
    for given, allowed in ((images, SUFFIXES), (labels, suffixes)):
        if not given.is_dir():
            raise InputError(f"{given}: is not a folder; give one folder of images and one of what is outlined.")
        if not files(given, allowed):
            raise InputError(f"{given}: has no file ending in one of {', '.join(allowed)}.")
    if images.resolve() == labels.resolve():
        raise InputError(f"{labels}: is given as the folder of images, too; give that of what is outlined in them.")
    with TemporaryDirectory() as temporary:
        archive = Path(temporary)
        linked = {archive / "images": images, archive / name: labels}
        for link, given in linked.items():
            link.symlink_to(given.absolute(), target_is_directory=True)
        if classes:
            pd.DataFrame({"name": classes}).to_csv(archive / own_classes.NAMES, index=False)
        converted, rejected = pd.DataFrame(), pd.DataFrame()
        config = ProcessingConfig(classes=classes, transforms=())
        for chunk in convert_datasets({dataset.INFO.name: archive}, config, given=linked):
            for key, image in chunk.images.items():
                write_image(folder / f"images/{key}.tif", image)
            for key, truth in chunk.labels.items():
                write_labels(folder / f"labels/{key}.tif", truth)
            converted, rejected = chunk.converted, chunk.rejected
    named = zip(rejected["image_id"], rejected["reason"], strict=True)
    reasons = {name: reason.removeprefix(f"{name}: ") for name, reason in named}
    if converted.empty:
        name, reason = next(iter(reasons.items()))
        raise InputError(f"{images}: none of its images can be used, such as {name}: {reason}")
    manifest = folder / "samples.csv"
    write_manifest(manifest, converted.assign(split="test").astype({"n_nuclei": "Int64"})[COLUMNS])
    return Paired(read_manifest(manifest), converted, reasons)
