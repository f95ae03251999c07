"""The options for predicting one image, shared by the command, the parameters and the function."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from nucseg.core.errors import InputError
from nucseg.core.types import Precision
from nucseg.images.extent import Tissue
from nucseg.images.plane_choice import PlaneChoices
from nucseg.images.planes import Channel, check_channel
from nucseg.images.scenes import Scene
from nucseg.models.protocols import LOWEST_SCORE

Scale = Literal["auto"] | Annotated[float, Field(ge=0.05, le=20)]


def _channel(given: Any) -> Channel:
    try:
        return check_channel(given)
    except InputError:
        raise ValueError("must be a channel's name, or its number from 0") from None


def _file(given: Any) -> Any:
    if isinstance(given, Path) and not given.is_file():
        raise ValueError("must be a GeoJSON file that exists")
    return given


def _scene(given: Any) -> Scene:
    try:
        return check_channel(given)
    except InputError:
        raise ValueError("must be a scene's name, or its number from 0") from None


class PredictOptions(BaseModel):
    """How an image is predicted.

    A field added here is an option of `nucseg predict` and a parameter of `inference.yml`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: Annotated[Channel, BeforeValidator(_channel)] = Field(
        None,
        description="Channel, page or plane to use of a file with several: its name, or its number from 0; of stained "
        "tissue in colour, `hematoxylin`, `eosin` or `dab`.",
    )
    scene: Annotated[Scene, BeforeValidator(_scene)] = Field(
        None,
        description="Scene, series or position to use of a file with several images: its name, or its number from 0.",
    )
    plane: PlaneChoices = Field(
        (),
        description="Planes of a stack in depth (z) or time (t): numbers from 0, ranges, `all`, the maximum (`max`) or "
        "the sharpest (`focus`), such as z=3, z=2-5 or z=max,t=all.",
    )
    scale: Scale = Field(
        "auto",
        description="Factor by which an image is resized for the network: below 1 for nuclei larger than those the "
        "model knows; `auto` estimates it.",
    )
    magnification: float | None = Field(
        None, gt=0, description="Magnification of the objective; only a model that rescales to one uses it."
    )
    tissue: Annotated[Tissue, AfterValidator(_file)] = Field(
        "auto",
        description="Where a slide is predicted: `auto` finds its tissue, `none` predicts all of it, a GeoJSON file "
        "holds the outlines of the tissue.",
    )
    region: Annotated[Path | None, AfterValidator(_file)] = Field(
        None,
        description="GeoJSON file of the regions to predict, such as QuPath exports, in pixels of the full resolution.",
    )
    score_threshold: float | None = Field(
        None,
        ge=LOWEST_SCORE,
        le=1,
        description="Lowest score of a nucleus to keep; the model's own threshold by default.",
    )
    tile: int | None = Field(
        None, ge=64, description="Side of a tile of a large image in pixels, at most the model's default."
    )
    precision: Precision = Field(
        "auto", description="Compute precision of the network; `auto` is bfloat16 if the processor is faster in it."
    )

    def changed(self, **changes: Any) -> Self:
        """Return the same options but for some fields, checked like the others."""
        return type(self)(**{**self.model_dump(), **changes})
