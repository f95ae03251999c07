"""The parameters of a patch classifier."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

IMAGENET = "imagenet"
"""Initial weights of a trunk: trained on ImageNet."""

ClassName = Annotated[str, Field(min_length=1, max_length=64)]


class PatchClassifierConfig(BaseModel):
    """Network, patches and initial weights of a patch classifier."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    in_channels: Literal[3] = Field(3, description="Channels of a patch: red, green and blue.")
    network: Literal["small", "lite", "resnet50"] = Field(
        "lite",
        description="`small`: a pre-activation ResNet of 69,129 weights; `lite`: EfficientNet-Lite0; `resnet50`: "
        "ResNet-50, for a GPU. The last two can start from ImageNet weights.",
    )
    patch_size: int = Field(64, ge=32, le=512, multiple_of=32, description="Side of a patch in pixels.")
    pixel_size: float = Field(0.25, gt=0, le=10, description="Micrometres per pixel of the patches.")
    classes: tuple[ClassName, ClassName] = Field(
        ("other", "mitosis"), description="Names of the classes 0 and 1; the probability is that of class 1."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate of the last features in training.")
    views: Literal[1, 4, 8] = Field(
        1, description="Views of a patch whose outputs are averaged: 1, the 4 flips, or the 8 rotations and flips."
    )
    pretrained: str | None = Field(
        None, description="Initial weights: null for random ones, a model folder, or `imagenet` (lite, resnet50)."
    )
    fine_tune: bool = Field(True, description="Whether a pretrained model is trained further or used as it is.")

    @field_validator("pretrained")
    @classmethod
    def _fits_the_network(cls, pretrained: str | None, info: ValidationInfo) -> str | None:
        if pretrained == IMAGENET and info.data.get("network") == "small":
            raise ValueError("needs a network that was trained on ImageNet; set network = lite or resnet50")
        return pretrained

    @field_validator("fine_tune")
    @classmethod
    def _has_something_to_use(cls, fine_tune: bool, info: ValidationInfo) -> bool:
        if not fine_tune and info.data.get("pretrained") in (None, IMAGENET):
            raise ValueError("false requires a pretrained model: set `pretrained`, or use true")
        return fine_tune

    def architecture(self) -> dict[str, Any]:
        """Return what a model folder must store to rebuild the network."""
        return self.model_dump(mode="json", exclude={"pretrained", "fine_tune"})
