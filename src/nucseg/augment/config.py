"""Parameters of `data_augmentations.yml`: the list of random transforms, each with its probability and ranges."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Stage = Literal["affine", "geometry", "colour", "intensity"]
"""When a transform is applied. `colour` is skipped for images of one channel."""


def _ordered(interval: tuple[float, float]) -> tuple[float, float]:
    if interval[0] > interval[1]:
        raise ValueError(f"the first number must not exceed the second: {list(interval)}")
    return interval


Interval = Annotated[tuple[float, float], AfterValidator(_ordered)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Strength = Annotated[float, Field(ge=0.01, le=0.2)]
PositiveInterval = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]
NotNegativeInterval = Annotated[tuple[NotNegative, NotNegative], AfterValidator(_ordered)]
FractionInterval = Annotated[tuple[Fraction, Fraction], AfterValidator(_ordered)]


class _Transform(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    stage: ClassVar[Stage]
    p: float = Field(0.5, ge=0, le=1, description="Probability that the transform is applied to a patch.")


class Affine(_Transform):
    """Zoom and rotate about the centre; the context around the patch fills the corners."""

    stage = "affine"
    name: Literal["affine"] = "affine"
    scale: PositiveInterval = Field(
        (0.5, 2.0),
        description="Smallest and largest zoom; below 1 the content shrinks. Both directions are equally likely.",
    )
    rotate: Interval = Field((-180.0, 180.0), description="Smallest and largest rotation in degrees.")
    shear: float = Field(
        0.0, ge=0, le=30, description="Largest shear in degrees, in either direction; 0 turns shearing off."
    )


class Flip(_Transform):
    """Mirror left to right or top to bottom."""

    stage = "geometry"
    name: Literal["flip"] = "flip"


class Rotate90(_Transform):
    """Rotate by 0, 90, 180 or 270 degrees."""

    stage = "geometry"
    name: Literal["rotate90"] = "rotate90"


class Elastic(_Transform):
    """Deform with a smooth random displacement field."""

    stage = "geometry"
    name: Literal["elastic"] = "elastic"
    displacement: float = Field(1.5, gt=0, le=20, description="Standard deviation of the displacement in pixels.")
    smoothness: float = Field(8.0, ge=2, le=50, description="Sigma in pixels of the Gaussian that smooths the field.")


class HEStain(_Transform):
    """Vary the strength of haematoxylin and eosin (Ruifrok's and Macenko's stain vectors); RGB only."""

    stage = "colour"
    name: Literal["he_stain"] = "he_stain"
    scale: PositiveInterval = Field(
        (0.7, 1.3), description="Smallest and largest factor for each stain's concentration."
    )
    shift: Interval = Field((-0.1, 0.1), description="Smallest and largest value added to each stain's concentration.")


class Hematoxylin(_Transform):
    """Show haematoxylin alone, as a prediction with `channel: hematoxylin` does; RGB only."""

    stage = "colour"
    name: Literal["hematoxylin"] = "hematoxylin"
    p: float = Field(0.05, ge=0, le=1, description="Probability that the transform is applied to a patch.")


class HueSaturation(_Transform):
    """Shift hue and saturation; RGB only."""

    stage = "colour"
    name: Literal["hue_saturation"] = "hue_saturation"
    hue: float = Field(10.0, ge=0, le=180, description="Largest hue shift in degrees, in either direction.")
    saturation: float = Field(0.15, ge=0, le=1, description="Largest saturation shift, in either direction.")


class ToGray(_Transform):
    """Remove the colour (the channels become equal), so that histology looks like brightfield; RGB only."""

    stage = "colour"
    name: Literal["to_gray"] = "to_gray"
    p: float = Field(0.1, ge=0, le=1, description="Probability that the transform is applied to a patch.")


class ChannelShuffle(_Transform):
    """Permute the channels at random; RGB only."""

    stage = "colour"
    name: Literal["channel_shuffle"] = "channel_shuffle"
    p: float = Field(0.1, ge=0, le=1, description="Probability that the transform is applied to a patch.")


class Invert(_Transform):
    """Invert the intensities."""

    stage = "intensity"
    name: Literal["invert"] = "invert"
    p: float = Field(0.1, ge=0, le=1, description="Probability that the transform is applied to a patch.")


class BrightnessContrast(_Transform):
    """Shift and stretch the intensities, by fractions of the image's range."""

    stage = "intensity"
    name: Literal["brightness_contrast"] = "brightness_contrast"
    brightness: float = Field(0.1, ge=0, le=1, description="Largest value added or subtracted.")
    contrast: float = Field(0.3, ge=0, lt=1, description="Largest relative change of the slope, in either direction.")


class Gamma(_Transform):
    """Raise the intensities, scaled to the image's range, to a power."""

    stage = "intensity"
    name: Literal["gamma"] = "gamma"
    gamma: PositiveInterval = Field((0.7, 1.5), description="Smallest and largest exponent.")


class Illumination(_Transform):
    """Add uneven illumination (a linear gradient) to the patch."""

    stage = "intensity"
    name: Literal["illumination"] = "illumination"
    strength: Annotated[tuple[Strength, Strength], AfterValidator(_ordered)] = Field(
        (0.02, 0.2), description="Smallest and largest strength of the gradient, within 0.01 to 0.2."
    )


class Blur(_Transform):
    """Blur with a Gaussian, as if out of focus."""

    stage = "intensity"
    name: Literal["blur"] = "blur"
    sigma: PositiveInterval = Field((0.5, 1.5), description="Smallest and largest sigma in pixels.")


class Noise(_Transform):
    """Add Gaussian noise, like that of camera electronics."""

    stage = "intensity"
    name: Literal["noise"] = "noise"
    std: FractionInterval = Field(
        (0.01, 0.05), description="Smallest and largest standard deviation, as a fraction of the image's range."
    )


class ShotNoise(_Transform):
    """Replace the intensities by Poisson-distributed ones, as if few photons were counted."""

    stage = "intensity"
    name: Literal["shot_noise"] = "shot_noise"
    scale: NotNegativeInterval = Field(
        (0.001, 0.01), description="Inverse of the photon count at the brightest pixel; larger is noisier."
    )


TransformConfig = Annotated[
    Affine
    | Flip
    | Rotate90
    | Elastic
    | HEStain
    | Hematoxylin
    | HueSaturation
    | ToGray
    | ChannelShuffle
    | Invert
    | BrightnessContrast
    | Gamma
    | Illumination
    | Blur
    | Noise
    | ShotNoise,
    Field(discriminator="name"),
]


class AugmentationConfig(BaseModel):
    """The augmentation of training patches.

    Whatever the order in the list, `affine` comes first (so that only the patch itself is computed), then the other
    geometry, the colour transforms (images of three channels only) and the intensity transforms; within each of these
    the listed order holds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    transforms: tuple[TransformConfig, ...] = Field(
        (
            Affine(p=0.9),
            Flip(p=0.5),
            Rotate90(p=0.5),
            Elastic(p=0.2),
            HEStain(p=0.4),
            HueSaturation(p=0.3),
            ToGray(p=0.1),
            Invert(p=0.05),
            BrightnessContrast(p=0.5),
            Gamma(p=0.3),
            Illumination(p=0.15),
            Blur(p=0.2),
            Noise(p=0.3),
            ShotNoise(p=0.1),
        ),
        description="Random transforms; an empty list turns augmentation off.",
    )
