"""The parameters of a Mask R-CNN model."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

IMAGENET = "imagenet"
MAX_BOX_WEIGHTS = 2**26
"""Of the box head's hidden layer: a model folder decides how much memory its network takes."""

MAX_ANCHORS = 64
"""Of each cell of a level."""

Filters = Annotated[int, Field(ge=4, le=512)]
Blocks = Annotated[int, Field(ge=1, le=8)]

PRESETS: dict[str, dict[str, Any]] = {
    "small": {
        "backbone": "light",
        "strides": (2, 4, 8, 16),
        "pyramid_channels": 64,
        "anchor_sizes": ((8.0, 13.0, 20.0), (28.0, 40.0, 56.0), (80.0, 112.0, 160.0)),
        "anchor_ratios": (1.0,),
        "box_units": 256,
        "mask_convolutions": 4,
        "mask_channels": 48,
    },
    "resnet50": {
        "backbone": "resnet50",
        "strides": (4, 8, 16, 32),
        "pyramid_channels": 256,
        "anchor_sizes": ((8.0, 13.0, 20.0), (28.0, 40.0, 56.0), (80.0, 112.0, 160.0), (224.0, 320.0, 448.0)),
        "anchor_ratios": (0.5, 1.0, 2.0),
        "box_units": 1024,
        "mask_convolutions": 4,
        "mask_channels": 256,
    },
}
"""What each preset gives to the parameters that are not named."""


class MaskRCNNConfig(BaseModel):
    """Architecture, sampling and initial weights of a Mask R-CNN model.

    `resnet50` is the paper's ResNet-50-FPN, with anchors for nuclei. `small` is made for two cores and nuclei of 8 to
    150 pixels:

    - The backbone stops at stride 16, whose receptive field holds a large nucleus; most of its work is where nuclei of
      10 to 40 pixels are resolved (strides 2 to 8). Instead of batch normalisation it has weight standardisation, which
      works with batches of four patches and costs nothing at the resolution of the image.
    - The pyramid begins at stride 2, and masks of nuclei below 40 pixels are read from there: at stride 4 a nucleus of
      20 pixels is five cells wide, too few for the outline that IoU 0.8 asks for. Proposals begin at stride 4.
    - The mask is drawn in the box enlarged by `mask_margin`, so that a box that is a pixel too tight does not cut it.
    - One square anchor shape of nine sizes instead of three shapes: nuclei are round, the second stage moves the box.
    - A quarter of the paper's channels in pyramid and box head, fewer in the mask head: there are two classes, not 81,
      and the mask head takes the most time if there are many nuclei.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Literal["small", "resnet50"] = Field(
        "small", description="Default of every parameter below that is not set."
    )
    in_channels: Literal[1, 3] = Field(3, description="Channels of the network's input: 1 (grey) or 3 (RGB).")

    backbone: Literal["light", "efficientnet_lite0", "resnet50"] = Field(description="Backbone network.")
    filters: tuple[Filters, ...] = Field((32, 64, 128, 256), description="Filters of each stage of the light backbone.")
    blocks: tuple[Blocks, ...] = Field((1, 2, 2, 2), description="Residual blocks in each stage of the light backbone.")
    strides: tuple[int, ...] = Field(max_length=6, description="Stride of each pyramid level in pixels.")
    pyramid_channels: int = Field(ge=8, le=512, description="Channels of each pyramid level.")
    finest_convolution: bool = Field(
        True, description="Whether the finest level of the pyramid has a 3x3 convolution, as the others have."
    )

    anchor_sizes: tuple[tuple[float, ...], ...] = Field(
        description="Anchor sizes in pixels: one list per level, for the coarsest levels, all of the same length."
    )
    anchor_ratios: tuple[float, ...] = Field(description="Aspect ratios of the anchors, height divided by width.")
    rpn_low: float = Field(0.3, ge=0, le=1, description="IoU with a nucleus below which an anchor is background.")
    rpn_high: float = Field(
        0.6, ge=0, le=1, description="IoU from which an anchor counts as a nucleus; anchors in between are ignored."
    )
    rpn_nms: float = Field(0.7, gt=0, le=1, description="IoU above which the weaker of two proposals is dropped.")
    rpn_score: float = Field(
        0.25, ge=0, lt=1, description="Minimum objectness of an anchor to become a proposal in prediction."
    )
    before_nms: int = Field(
        2000,
        ge=1,
        le=20000,
        description="Maximum number of anchors before suppression, in prediction, for each 512 x 512 pixels.",
    )
    proposals: int = Field(
        1000, ge=1, le=10000, description="Maximum number of proposals in prediction, for each 512 x 512 pixels."
    )
    training_before_nms: int = Field(
        512, ge=1, le=20000, description="Maximum number of anchors before suppression, in training."
    )
    training_proposals: int = Field(
        256, ge=1, le=10000, description="Maximum number of proposals per patch in training."
    )

    positive_rois: int = Field(
        32, ge=1, le=512, description="Maximum number of positive proposals per patch, which train box and mask."
    )
    negative_rois: int = Field(64, ge=1, le=512, description="Maximum number of background proposals per patch.")
    roi_overlap: float = Field(0.5, gt=0, le=1, description="IoU from which a proposal is matched to a nucleus.")
    max_nuclei: int = Field(
        256, ge=1, le=4096, description="Maximum number of nuclei per patch used in training; the largest are kept."
    )

    boxes_from_finest: bool = Field(
        False, description="Whether the box head reads all levels, or only those of the proposals."
    )
    box_size: int = Field(7, ge=1, le=28, description="Side of the box head's input in cells.")
    box_canonical: float = Field(
        56.0,
        gt=0,
        description="Size in pixels from which nuclei are boxed on the second of the levels that the box head reads.",
    )
    box_units: int = Field(ge=8, le=4096, description="Units in each hidden layer of the box head.")
    mask_size: int = Field(
        14, ge=2, le=56, description="Side of the mask head's input in cells; masks have twice as many."
    )
    mask_canonical: float = Field(
        40.0, gt=0, description="Size in pixels from which nuclei are drawn on the second pyramid level."
    )
    mask_margin: float = Field(
        0.1, ge=0, le=1, description="Margin of the mask around its box, as a fraction of the box's side."
    )
    mask_convolutions: int = Field(ge=0, le=8, description="Number of convolutions in the mask head.")
    mask_channels: int = Field(ge=4, le=512, description="Filters of each convolution in the mask head.")
    detections: int = Field(
        1000, ge=1, le=10000, description="Maximum number of nuclei for each 512 x 512 pixels of an image."
    )

    pretrained: str | None = Field(
        None,
        description=f"Initial weights: null for random ones, a model folder, or `{IMAGENET}` (not with `light`). The "
        "folder of a model of another kind, such as StarDist, gives the weights of the trunk.",
    )
    fine_tune: bool | Literal["mask_head"] = Field(
        True,
        description="Whether a pretrained model is trained further or used as it is; `mask_head`: only "
        "its mask head is trained, from random weights, and may have another shape.",
    )

    @model_validator(mode="before")
    @classmethod
    def _take_preset(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {**PRESETS.get(values.get("preset", "small"), {}), **values}

    @model_validator(mode="after")
    def _levels_fit(self) -> Self:
        if not 0 < len(self.anchor_sizes) <= len(self.strides):
            raise ValueError(f"anchor_sizes has {len(self.anchor_sizes)} levels; allowed are 1 to {len(self.strides)}")
        if len({len(sizes) for sizes in self.anchor_sizes}) > 1 or not self.anchor_sizes[0] or not self.anchor_ratios:
            raise ValueError(
                "anchor_sizes must have the same number of sizes on each level, at least one, and "
                "anchor_ratios at least one"
            )
        if min(*map(min, self.anchor_sizes), *self.anchor_ratios) <= 0:
            raise ValueError("anchor_sizes and anchor_ratios must be above 0")
        if self.proposals > self.before_nms or self.training_proposals > self.training_before_nms:
            raise ValueError(
                "proposals must not exceed before_nms, and training_proposals must not exceed training_before_nms"
            )
        if max(self.positive_rois, self.negative_rois) > self.training_proposals + self.max_nuclei:
            raise ValueError("positive_rois and negative_rois must not exceed training_proposals + max_nuclei")
        if self.rpn_low > self.rpn_high:
            raise ValueError(f"rpn_low is {self.rpn_low}; it must not exceed rpn_high, {self.rpn_high}")
        if self.pretrained == IMAGENET and self.backbone == "light":
            raise ValueError(
                f"pretrained: {IMAGENET} weights need the backbone resnet50 or efficientnet_lite0; set backbone, or "
                "pretrained = null"
            )
        return self

    @model_validator(mode="after")
    def _strides_fit(self) -> Self:
        if self.backbone == "efficientnet_lite0":
            if self.strides not in ((2, 4, 8), (2, 4, 8, 16), (2, 4, 8, 16, 32)):
                needed = "; the preset resnet50 needs backbone = resnet50, pyramid_channels = 256"
                reference = needed if self.preset == "resnet50" else ""
                raise ValueError(
                    f"strides are {self.strides}; with efficientnet_lite0 they are 2, 4, 8, up to 32{reference}"
                )
        elif self.backbone == "light":
            if self.strides != tuple(2 ** (level + 1) for level in range(len(self.strides))):
                raise ValueError(f"strides are {self.strides}; with the light backbone they are 2, 4, 8, ...")
            if not len(self.filters) == len(self.blocks) == len(self.strides):
                raise ValueError("filters, blocks and strides must have the same number of entries")
        elif self.strides != (4, 8, 16, 32):
            raise ValueError(f"strides are {self.strides}; with the backbone resnet50 they are 4, 8, 16, 32")
        return self

    @model_validator(mode="after")
    def _fits_into_memory(self) -> Self:
        if (weights := self.pyramid_channels * self.box_size**2 * self.box_units) > MAX_BOX_WEIGHTS:
            raise ValueError(
                f"pyramid_channels times box_size squared times box_units is {weights}; at most "
                f"{MAX_BOX_WEIGHTS} is allowed"
            )
        if self.anchors_per_cell > MAX_ANCHORS:
            raise ValueError(
                f"anchor_sizes times anchor_ratios is {self.anchors_per_cell}; at most {MAX_ANCHORS} is allowed"
            )
        return self

    @field_validator("fine_tune")
    @classmethod
    def _has_something_to_use(cls, fine_tune: bool | str, info: ValidationInfo) -> bool | str:
        if fine_tune is not True and info.data.get("pretrained") in (None, IMAGENET):
            raise ValueError(
                f"{str(fine_tune).lower()} requires a trained model: set `pretrained` to its folder, or use true"
            )
        return fine_tune

    @property
    def anchors_per_cell(self) -> int:
        """Number of anchors per cell of a level."""
        return len(self.anchor_sizes[0]) * len(self.anchor_ratios)

    @property
    def anchor_level(self) -> int:
        """The finest level for proposals."""
        return len(self.strides) - len(self.anchor_sizes)

    @property
    def box_level(self) -> int:
        """The finest level for the box head."""
        return 0 if self.boxes_from_finest else self.anchor_level

    def architecture(self) -> dict[str, Any]:
        """Return what a model folder must store to rebuild the network."""
        return self.model_dump(mode="json", exclude={"pretrained", "fine_tune"})
