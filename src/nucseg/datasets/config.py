"""Parameters of `data_download.yml` and `data_preprocessing.yml`."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator, model_validator

from nucseg.core.types import VOID
from nucseg.datasets import DATASETS
from nucseg.datasets.base import Dataset, Truth
from nucseg.datasets.sources import ArchiveSource
from nucseg.images.transforms import LABEL_RULE, Transforms


class Download(BaseModel):
    """The datasets of a task and their sources."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # What may be annotated in the datasets; see `DatasetInfo.truth`.
    truths: ClassVar[tuple[Truth, ...]]
    # What `source` is called in messages.
    section: ClassVar[str]

    datasets: tuple[str, ...] = Field(min_length=1)

    @field_validator("datasets", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @field_validator("datasets")
    @classmethod
    def _known_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in _names(cls.truths)]:
            raise ValueError(f"unknown datasets {unknown}; allowed are {sorted(_names(cls.truths))}")
        return tuple(dict.fromkeys(names))

    @model_validator(mode="before")
    @classmethod
    def _own_archive_own_checksum(cls, data: object) -> object:
        """Drop the official checksum where the address is not the official one (overridden on the command line)."""
        if not isinstance(data, dict):
            return data
        sources = {}
        for name, dataset in DATASETS.items():
            source, archive = data.get(name), dataset.INFO.archive
            if (
                isinstance(source, dict)
                and archive
                and source.get("url") != archive.url
                and source.get("sha256") == archive.sha256
            ):
                sources[name] = {**source, "sha256": None}
        return {**data, **sources}

    @model_validator(mode="after")
    def _chosen_have_a_source(self) -> Self:
        for name in self.datasets:
            kind = DATASETS[name].SOURCE
            if kind and self.source(name) is None:
                fields = [field for field, about in kind.model_fields.items() if about.is_required()]
                needed = ", ".join(f"{self.section}.{name}.{field}" for field in fields)
                raise ValueError(f"the dataset `{name}` needs {needed}; the page Configuration describes them")
        return self

    def source(self, name: str) -> BaseModel | None:
        """Return where a dataset comes from, or None if there is nothing to choose."""
        return getattr(self, name, None)


def _names(truths: Collection[Truth]) -> list[str]:
    return [name for name, dataset in DATASETS.items() if dataset.INFO.truth in truths]


def _source_field(dataset: Dataset) -> Any:
    """Return type and default of the parameter of a dataset: its official archive, where it has one."""
    archive = dataset.INFO.archive
    default = ArchiveSource(url=archive.url, sha256=archive.sha256) if archive else None
    kind: Any = dataset.SOURCE
    return (kind if archive else kind | None, Field(default, description=dataset.INFO.title))


def _fields(truths: Collection[Truth]) -> dict[str, Any]:
    """Return one field per dataset, so that a new one needs no line here."""
    names = _names(truths)
    chosen = Field(min_length=1, description=f"One or several of {', '.join(names)}.")
    sources = {name: _source_field(DATASETS[name]) for name in names if DATASETS[name].SOURCE}
    return {"datasets": (tuple[str, ...], chosen), **sources}


if TYPE_CHECKING:
    _Nuclei = Download
    _Points = Download
    _Classes = Download
else:
    _Nuclei = create_model("_Nuclei", __base__=Download, **_fields({"nuclei"}))
    _Points = create_model("_Points", __base__=Download, **_fields({"points"}))
    _Classes = create_model("_Classes", __base__=Download, **_fields({"nuclei", "classes"}))


class DownloadConfig(_Nuclei):
    """`data_download`: the datasets and their sources."""

    truths = ("nuclei",)
    section = "data_download"


class PatchesDownload(_Points):
    """`patches.data_download`: the datasets of annotated points and their sources."""

    truths = ("points",)
    section = "patches.data_download"


class SemanticDownload(_Classes):
    """`semantic.data_download`: the datasets of class maps, or of nuclei as a class, and their sources."""

    truths = ("nuclei", "classes")
    section = "semantic.data_download"


DOWNLOADS: dict[str | None, type[Download]] = {
    None: DownloadConfig,
    "patches": PatchesDownload,
    "semantic": SemanticDownload,
}
"""The type of `data_download` in each section of the parameters, which is that of a task; None is outside of any."""


class SplitConfig(BaseModel):
    """`data_preprocessing.split`: the shares of the samples for training, validation and test."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # The one of 3,000 salts whose shares are closest to 70/10/20 in each modality and image size of 563 images of
    # BBBC038; otherwise a rare kind might be missing from a split. Chosen before any model was trained.
    salt: str = Field(
        "nucseg-427", description="Salt of the hash that assigns the splits; another salt gives another split."
    )
    train: float = Field(0.7, ge=0, le=1, description="Share of the samples for training.")
    val: float = Field(0.1, ge=0, le=1, description="Share for choosing weights and thresholds.")
    test: float = Field(0.2, ge=0, le=1, description="Share for the final evaluation.")
    group_near_duplicates: bool = Field(
        True, description="Whether neighbouring and near-identical images of one field stay in one split."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError(f"train + val + test is {self.train + self.val + self.test:g}; it must be 1")
        return self

    @property
    def fractions(self) -> dict[str, float]:
        """Share of each split, in order."""
        return {"train": self.train, "val": self.val, "test": self.test}


class ProcessingConfig(BaseModel):
    """`data_preprocessing`: how samples are stored and split, and the transforms that a model carries."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fill_label_holes: bool = Field(
        True, description="Whether holes in nuclei are filled when the label images are stored."
    )
    classes: tuple[str, ...] | None = Field(
        None,
        min_length=2,
        max_length=VOID,
        description="Names of the classes of class maps, from 0 on; nuclei are of class 1. Null where label images are "
        "stored.",
    )
    transforms: Transforms = Field(
        description="Image transforms, applied in this order in training, evaluation and serving alike."
    )
    split: SplitConfig = Field(SplitConfig(), description="The rules of the split.")

    @field_validator("transforms", mode="before")
    @classmethod
    def _change_the_image(cls, transforms: object) -> object:
        if isinstance(transforms, list) and {"name": LABEL_RULE} in transforms:
            raise ValueError(
                f"`{LABEL_RULE}` does not change the image: remove it here and set data_preprocessing.{LABEL_RULE}"
            )
        return transforms
