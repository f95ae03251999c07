"""Images and their outlined nuclei in two folders, as samples of the dataset `own`."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from nucseg.core.errors import InputError
from nucseg.core.types import Sample
from nucseg.datasets import own
from nucseg.datasets.config import ProcessingConfig
from nucseg.datasets.manifest import read_manifest, write_manifest
from nucseg.datasets.processing import COLUMNS, convert_datasets
from nucseg.datasets.sources import FolderSource
from nucseg.images.io import write_image, write_labels

_CONFIG = ProcessingConfig(transforms=())


@dataclass(frozen=True)
class Paired:
    """Images of which the nuclei are known.

    Attributes:
        samples: The samples, all of the test split.
        facts: Their rows of `CONVERTED_COLUMNS`.
        rejected: Why others were left out, by name.
    """

    samples: list[Sample]
    facts: pd.DataFrame
    rejected: dict[str, str]


def pair_images(images: Path, labels: Path, folder: Path) -> Paired:
    """Convert images and their nuclei to the canonical form, as `data_processing` does.

    Args:
        images: Folder of the images.
        labels: Folder of the nuclei: files that `nucseg.datasets.annotations` reads, named like the images.
        folder: Where converted images, labels and manifest are written.

    Raises:
        InputError: A folder does not exist, or no image can be used.
        DownloadError: A folder has no file that could be read.
    """
    for given in (images, labels):
        if not given.is_dir():
            raise InputError(f"{given}: is not a folder; give one folder of images and one of their nuclei.")
    with TemporaryDirectory() as temporary:
        for name, given in (("images", images), ("labels", labels)):
            (Path(temporary) / name).symlink_to(given.absolute(), target_is_directory=True)
        archive = own.fetch(FolderSource(path=Path(temporary)), folder)
        converted, rejected = pd.DataFrame(), pd.DataFrame()
        for chunk in convert_datasets({own.INFO.name: archive}, _CONFIG):
            for key, image in chunk.images.items():
                write_image(folder / f"images/{key}.tif", image)
            for key, nuclei in chunk.labels.items():
                write_labels(folder / f"labels/{key}.tif", nuclei)
            converted, rejected = chunk.converted, chunk.rejected
    named = zip(rejected["image_id"], rejected["reason"], strict=True)
    reasons = {name: reason.removeprefix(f"{name}: ") for name, reason in named}
    if converted.empty:
        name, reason = next(iter(reasons.items()))
        raise InputError(f"{images}: none of its images can be used, such as {name}: {reason}")
    manifest = folder / "samples.csv"
    write_manifest(manifest, converted.assign(split="test").astype({"n_nuclei": "Int64"})[COLUMNS])
    return Paired(read_manifest(manifest), converted, reasons)
