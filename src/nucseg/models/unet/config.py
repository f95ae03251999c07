"""The parameters of a U-Net."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from nucseg.models.semantic.config import ClassNames, Filters

IMAGENET = "imagenet"
"""Initial weights of the trunk efficientnet_lite0: trained on ImageNet."""


class UNetConfig(BaseModel):
    """Classes, network, loss and initial weights of a U-Net."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    in_channels: Literal[1, 3] = Field(3, description="Channels of the network's input: 1 (grey) or 3 (RGB).")
    classes: ClassNames = Field(("background", "nucleus"), description="Names of the classes, from 0 on.")
    trunk: Literal["efficientnet_lite0", "resnext50"] = Field(
        "efficientnet_lite0",
        description="`efficientnet_lite0`, light enough for a CPU; `resnext50`: ResNeXt-50 32x4d, for a GPU.",
    )
    decoder_filters: tuple[Filters, ...] = Field(
        (128, 96, 64, 64),
        min_length=4,
        max_length=5,
        description="Filters of the decoder's levels, the coarsest first: four from stride 16, or five from stride 32, "
        "to stride 2.",
    )
    jaccard_weight: float = Field(
        0.5, ge=0, lt=1, description="Weight of the soft Jaccard loss; the rest is that of cross-entropy."
    )
    pretrained: str | None = Field(
        None,
        description="Initial weights: null for random ones, a model folder, `imagenet` (efficientnet_lite0), or a file "
        "`.pth` with torchvision's weights of the trunk (resnext50).",
    )
    fine_tune: bool = Field(True, description="Whether a pretrained model is trained further or used as it is.")

    @field_validator("pretrained")
    @classmethod
    def _fits_the_trunk(cls, pretrained: str | None, info: ValidationInfo) -> str | None:
        trunk = info.data.get("trunk")
        if pretrained == IMAGENET and trunk == "resnext50":
            raise ValueError(
                "is for the trunk efficientnet_lite0; for resnext50 set the path of torchvision's file, "
                "resnext50_32x4d-7cdf4587.pth"
            )
        if pretrained and pretrained.endswith(".pth") and trunk != "resnext50":
            raise ValueError("holds weights of ResNeXt-50; set trunk = resnext50")
        return pretrained

    @field_validator("fine_tune")
    @classmethod
    def _has_something_to_use(cls, fine_tune: bool, info: ValidationInfo) -> bool:
        pretrained = info.data.get("pretrained")
        if not fine_tune and (pretrained in (None, IMAGENET) or pretrained.endswith(".pth")):
            raise ValueError("false requires a pretrained model: set `pretrained` to its folder, or use true")
        return fine_tune

    def architecture(self) -> dict[str, Any]:
        """Return what a model folder must store to rebuild the network."""
        return self.model_dump(mode="json", exclude={"pretrained", "fine_tune"})
