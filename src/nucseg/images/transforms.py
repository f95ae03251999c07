"""The preprocessing transforms that `data_preprocessing.yml` lists, as typed values."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from nucseg.core.errors import ConfigError

LABEL_RULE = "fill_label_holes"
"""Listed among the transforms by older model folders and configurations, although no image is changed by it."""


class _Transform(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Normalize(_Transform):
    """Map intensity percentiles of the whole image to 0 and 1, without clipping."""

    name: Literal["normalize"] = "normalize"
    pmin: float = Field(1.0, ge=0, lt=100, description="Percentile that is mapped to 0.")
    pmax: float = Field(99.8, gt=0, le=100, description="Percentile that is mapped to 1.")
    axis: Literal["image", "channel"] = Field(
        "image", description="Whether percentiles are over all channels together (`image`) or per channel (`channel`)."
    )
    min_range: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Smallest span between the percentiles, as a fraction of the dtype's range, so that the noise of a "
        "blank image is not amplified.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.pmin >= self.pmax:
            raise ValueError(f"pmin ({self.pmin}) must be below pmax ({self.pmax})")
        return self


class Rescale(_Transform):
    """Resize the image by a factor, or to the pixel size of a magnification; the result is resized back.

    An image whose magnification is not known is left at its own scale by `magnification`.
    """

    name: Literal["rescale"] = "rescale"
    factor: float | None = Field(None, ge=0.05, le=20, description="Resize factor.")
    magnification: float | None = Field(
        None,
        gt=0,
        description="Magnification to which each image is resized; the factor is this divided by the image's own.",
    )

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.factor is None) == (self.magnification is None):
            raise ValueError("give exactly one of factor and magnification")
        return self


class ToGrayscale(_Transform):
    """Convert RGB to luminance."""

    name: Literal["to_grayscale"] = "to_grayscale"


class ToRGB(_Transform):
    """Repeat a grey image into three channels."""

    name: Literal["to_rgb"] = "to_rgb"


_Deviation = Annotated[FiniteFloat, Field(gt=0)]


class Standardize(_Transform):
    """Subtract a mean from each of three channels and divide by a deviation, as published weights expect.

    A grey image is repeated into three channels first. The defaults are those of weights trained on ImageNet.
    """

    name: Literal["standardize"] = "standardize"
    mean: tuple[FiniteFloat, FiniteFloat, FiniteFloat] = Field(
        (0.485, 0.456, 0.406), description="Mean of red, green and blue, in unit range."
    )
    std: tuple[_Deviation, _Deviation, _Deviation] = Field(
        (0.229, 0.224, 0.225), description="Standard deviation of red, green and blue, in unit range."
    )


def _once_each(transforms: tuple[_Transform, ...]) -> tuple[_Transform, ...]:
    kinds = [type(transform) for transform in transforms]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise ValueError(f"{kind.model_fields['name'].default!r} is listed more than once")
    return transforms


Transform = Annotated[Normalize | Rescale | Standardize | ToGrayscale | ToRGB, Field(discriminator="name")]
Transforms = Annotated[tuple[Transform, ...], AfterValidator(_once_each)]


def parse_transforms(transforms: Sequence[Mapping[str, Any]]) -> tuple[Transform, ...]:
    """Check a list of transforms as a model folder holds it.

    Args:
        transforms: Mappings with a `name` and that transform's parameters, in the order of application.

    Returns:
        The typed transforms in the same order.

    Raises:
        ConfigError: A name or parameter is unknown or out of range, or a transform is listed twice.
    """
    try:
        return TypeAdapter(Transforms).validate_python([each for each in transforms if each != {"name": LABEL_RULE}])
    except ValidationError as error:
        problems = "; ".join(_problem(details) for details in error.errors())
        raise ConfigError(f"Preprocessing transforms: {problems}.") from error


def _problem(details: Any) -> str:
    place = ".".join(str(part) for part in details["loc"])
    allowed = details.get("ctx", {}).get("expected_tags")
    if allowed:
        return f"transform {place} is called {details['ctx']['tag']!r}; allowed are {allowed}"
    return f"{place + ': ' if place else ''}{details['msg']} (given: {details['input']!r})"
