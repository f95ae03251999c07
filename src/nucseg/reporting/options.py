"""The options for predicting many images into files."""

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator

from nucseg.inference.mitoses.config import NUCLEUS_PIXEL_SIZE, NUCLEUS_SCORE
from nucseg.inference.options import PredictOptions, Scale
from nucseg.measurements.channels import Measures
from nucseg.measurements.sizes import Size, is_in_pixels, size_value
from nucseg.models.protocols import LOWEST_SCORE
from nucseg.reporting.formats.class_maps import CLASS_FORMATS
from nucseg.reporting.formats.registry import FORMATS

MEASURED = ("table", "geojson", "geojson_zip", "spatialdata")
"""The formats that hold measurements."""


def _formats_among(known: Collection[str]) -> AfterValidator:
    """Return what checks names of formats, and leaves out a name that is there twice."""

    def checked(formats: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in formats if name not in known]
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: allowed are {', '.join(known)}")
        return tuple(dict.fromkeys(formats))

    return AfterValidator(checked)


class RunOptions(PredictOptions):
    """How images are predicted in a run whose results are files."""

    pixel_size: float | None = Field(
        None, ge=0.001, le=1000, description="Pixel size in micrometres; overrides the image's own."
    )
    resume: bool = Field(False, description="Skip the images and tiles that an earlier run has finished.")
    overwrite: bool = Field(False, description="Replace existing results.")


class BatchOptions(RunOptions):
    """How images are predicted and their nuclei written."""

    model_config = ConfigDict(validate_default=True)  # the default formats do not fit to all other options

    measure: Measures = Field(
        (),
        description="Channels to measure in each nucleus, cell and ring: `all` for those of the image's file, a "
        "channel by name or number, NAME=CHANNEL, or NAME=PATTERN for other files of the field, such as GFP=*_GFP.tif.",
    )
    expand: Size | None = Field(
        None, description="Distance by which nuclei grow to cells, in micrometres, or in pixels such as 12px."
    )
    link: bool = Field(
        False,
        description="Give a nucleus one number through neighbouring planes, and write its track (format tracks); needs "
        "several planes along one axis.",
    )
    link_iou: float = Field(
        0.3, gt=0, le=1, description="Smallest intersection over union by which nuclei of two planes are linked."
    )
    min_area: Size | None = Field(
        None, description="Smallest area of a nucleus to keep, in square micrometres, or in pixels such as 150px."
    )
    max_area: Size | None = Field(
        None, description="Largest area of a nucleus to keep, in square micrometres, or in pixels such as 900px."
    )
    exclude_border: bool = Field(False, description="Leave out nuclei that touch the border of the image.")
    formats: Annotated[tuple[str, ...], _formats_among(FORMATS)] = Field(
        ("labels",),
        min_length=1,
        description=f"Formats of the results, among {', '.join(FORMATS)}.",
    )

    @field_validator("max_area")
    @classmethod
    def _leaves_nuclei(cls, largest: str | None, given: ValidationInfo) -> str | None:
        smallest = given.data.get("min_area")
        if (
            smallest
            and largest
            and is_in_pixels(smallest) == is_in_pixels(largest)
            and size_value(smallest) > size_value(largest)
        ):
            raise ValueError(f"must be at least min_area, {smallest}: no nucleus would be left")
        return largest

    @field_validator("formats")
    @classmethod
    def _shows_what_is_asked_for(cls, formats: tuple[str, ...], given: ValidationInfo) -> tuple[str, ...]:
        for option, shown in (("measure", MEASURED), ("expand", (*MEASURED, "cells"))):
            if given.data.get(option) and not set(shown) & set(formats):
                raise ValueError(f"must include {' or '.join(shown)}, which {option} needs")
        if "cells" in formats and not given.data.get("expand"):
            raise ValueError("includes cells, which needs expand: by how much nuclei grow")
        if "tracks" in formats and not given.data.get("link"):
            raise ValueError("includes tracks, which needs link")
        return (*formats, "tracks") if given.data.get("link") and "tracks" not in formats else formats

    @field_validator("link")
    @classmethod
    def _has_planes(cls, link: bool, given: ValidationInfo) -> bool:
        if link and not given.data.get("plane"):
            raise ValueError("needs plane: the planes to link, such as t=all")
        return link


class SegmentOptions(RunOptions):
    """How the pixels of images are assigned to classes, and written."""

    scale: Scale = Field(1.0, description="Factor by which an image is resized for the network.")
    score_threshold: None = Field(None, exclude=True, description="Not used: a pixel has its most probable class.")
    formats: Annotated[tuple[str, ...], _formats_among(CLASS_FORMATS)] = Field(
        ("classes",), min_length=1, description=f"Formats of the results, among {', '.join(CLASS_FORMATS)}."
    )


class MitosesOptions(RunOptions):
    """How mitoses are found on slides."""

    scale: Scale = Field(
        "auto",
        description="Factor by which a slide is resized for the network that finds the nuclei; `auto` shows it "
        f"{NUCLEUS_PIXEL_SIZE:g} µm per pixel.",
    )
    score_threshold: float | None = Field(
        NUCLEUS_SCORE, ge=LOWEST_SCORE, le=1, description="Lowest score of a nucleus that is classified."
    )
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Lowest probability of a mitosis; the classifier's own threshold by default. A higher one means "
        "fewer false alarms.",
    )
