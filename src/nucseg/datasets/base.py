"""What a dataset is: its facts, and its annotated images as they lie in the archive."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from numpy.typing import NDArray

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DatasetInfo:
    """Where a dataset comes from and what its archive must be.

    Attributes:
        name: Short name, used in parameters, folders and the manifest.
        title: What it holds, in one line.
        citation: The paper to cite.
        licence: The terms of use.
        homepage: The page that describes it.
        url: The official archive, or None where nothing is fetched.
        sha256: Of the official archive, or None where it is not known.
        archive_name: File name of the archive in `data/01_raw/<name>/`.
        expected: Regular expressions; each must match the name of an entry of the archive.
        max_unpacked_bytes: The archive is refused as a zip bomb when its entries together are larger.
    """

    name: str
    title: str
    citation: str
    licence: str
    homepage: str
    url: str | None
    sha256: str | None
    archive_name: str
    expected: tuple[str, ...]
    max_unpacked_bytes: int


@dataclass(frozen=True)
class RawSample:
    """One annotated image as its archive holds it.

    Attributes:
        image_id: Unique within its dataset.
        read: Gives image, label image and the number of pixels that several masks claimed; raises InputError with the
            reason when the sample is broken. To be called before the next sample is taken (the archive is open then).
        modality: `fluorescence`, `histology` or `brightfield`; None to tell it from the pixels.
        magnification: Of the objective, or None.
        test_class: The dataset's own class of test images, or None.
        splits: Where the sample may go. One name is an official split; several are chosen from by the id.
        field: Name of the field of view where several samples are known to overlap, or None.
    """

    image_id: str
    read: Callable[[], tuple[NDArray, NDArray, int]]
    modality: str | None = None
    magnification: float | None = None
    test_class: str | None = None
    splits: tuple[str, ...] = SPLITS
    field: str | None = None


class Dataset(Protocol):
    """What each dataset's module offers."""

    INFO: DatasetInfo

    def raw_samples(self, archive: Path) -> Iterator[RawSample]:
        """List the samples of an archive, lazily and in a fixed order."""
