"""The options for predicting many images into files."""

from typing import Annotated

from pydantic import AfterValidator, Field

from nucseg.inference.mitoses.config import NUCLEUS_PIXEL_SIZE, NUCLEUS_SCORE
from nucseg.inference.options import PredictOptions, Scale
from nucseg.models.protocols import LOWEST_SCORE
from nucseg.reporting.formats.registry import FORMATS


def _known(formats: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: allowed are {', '.join(FORMATS)}")
    return tuple(dict.fromkeys(formats))


class RunOptions(PredictOptions):
    """How images are predicted in a run whose results are files."""

    pixel_size: float | None = Field(None, gt=0, description="Pixel size in micrometres; overrides the image's own.")
    resume: bool = Field(False, description="Skip the images and tiles that an earlier run has finished.")
    overwrite: bool = Field(False, description="Replace existing results.")


class BatchOptions(RunOptions):
    """How images are predicted and their nuclei written."""

    formats: Annotated[tuple[str, ...], AfterValidator(_known)] = Field(
        ("labels",), min_length=1, description=f"Formats of the results, among {', '.join(FORMATS)}."
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
        None, ge=0, le=1, description="Lowest probability of a mitosis; the classifier's own threshold by default."
    )
