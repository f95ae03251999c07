"""A dataset: its facts, its source, and its annotated images as they are stored there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray
from pydantic import BaseModel

SPLITS = ("train", "val", "test")

Truth = Literal["nuclei", "points", "classes"]


@dataclass(frozen=True)
class Archive:
    """The expected archive of a dataset.

    Attributes:
        url: The official address.
        sha256: Checksum of the official archive, or None if it is not known.
        name: File name of the archive in `data/01_raw/<dataset>/`.
        expected: Regular expressions; each must match the name of an entry of the archive.
        max_unpacked_bytes: Limit for all entries together; an archive that exceeds it is refused as a zip bomb.
    """

    url: str
    sha256: str | None
    name: str
    expected: tuple[str, ...]
    max_unpacked_bytes: int


@dataclass(frozen=True)
class DatasetInfo:
    """The facts of a dataset.

    Attributes:
        name: Short name, used in parameters, folders and the manifest.
        title: What it holds, in one line.
        citation: The paper to cite.
        licence: The terms of use.
        homepage: The page that describes it.
        archive: The official archive, or None if the dataset is not an archive.
        may_be_empty: Whether an image may have no nucleus.
        truth: What its annotations are: label images of `nuclei`, `points` images (`nucseg.datasets.points`), which may
            be empty, or `classes`, class maps (`nucseg.datasets.class_maps`).
    """

    name: str
    title: str
    citation: str
    licence: str
    homepage: str
    archive: Archive | None = None
    may_be_empty: bool = False
    truth: Truth = "nuclei"


@dataclass(frozen=True)
class RawSample:
    """One annotated image as stored in its archive.

    Attributes:
        image_id: Unique within its dataset.
        read: Returns image, label image (None if the truth is not a label image) and the number of pixels that several
            masks claimed; raises InputError with the reason when the sample is broken. To be called before the next
            sample is taken (the archive is open then).
        modality: `fluorescence`, `histology` or `brightfield`; None to derive it from the pixels.
        magnification: Magnification of the objective, or None.
        test_class: The dataset's own class of test images, or None.
        splits: The splits that the sample may belong to. One name is an official split; from several, one is chosen by
            the id.
        field: Name of the field of view where several samples are known to overlap, or None.
        case: Patient or slide that several samples share, or None; all samples of a case go to one split.
        stratum: Group of cases, such as those of a laboratory, of which each split gets its share; None: all cases.
        classes: Names of the classes by which its class map was made, from 0 on; None if it holds numbers.
    """

    image_id: str
    read: Callable[[], tuple[NDArray, NDArray | None, int]]
    modality: str | None = None
    magnification: float | None = None
    test_class: str | None = None
    splits: tuple[str, ...] = SPLITS
    field: str | None = None
    case: str | None = None
    stratum: str | None = None
    classes: tuple[str, ...] | None = None


class Dataset(Protocol):
    """The interface of each dataset's module."""

    INFO: DatasetInfo
    SOURCE: type[BaseModel] | None
    """The type of the parameter `data_download.<name>`, or None if there is nothing to choose."""

    def fetch(self, source: Any, folder: Path) -> Path:
        """Fetch the dataset to this machine.

        Args:
            source: Where it comes from, a `SOURCE`; None if there is nothing to choose.
            folder: The dataset's own folder for what is fetched, `data/01_raw/<name>`.

        Returns:
            What `raw_samples` takes: the archive, or the folder.
        """

    def raw_samples(self, archive: Path) -> Iterator[RawSample]:
        """List the samples of what `fetch` returned, lazily and in a fixed order."""
