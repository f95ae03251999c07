"""The parameters of a DeepLab."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from nucseg.models.semantic.config import ClassNames, Filters

IMAGENET = "imagenet"
"""Initial weights of the trunk: trained on ImageNet."""

VOC_CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tv"),
)
"""The classes of Pascal VOC, from 0 on."""

GRAPHS = (".pb", ".tar.gz")
"""Suffixes of the published graphs."""


class DeepLabConfig(BaseModel):
    """Classes, network, loss and initial weights of a DeepLab."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    in_channels: Literal[3] = Field(3, description="Channels of the network's input: red, green and blue.")
    classes: ClassNames = Field(VOC_CLASSES, description="Names of the classes, from 0 on.")
    trunk: Literal["mobile", "full"] = Field(
        "mobile", description="`mobile`: EfficientNet-Lite0, light enough for a CPU; `full`: ResNet-50, for a GPU."
    )
    pooling: bool = Field(
        False,
        description="Whether every pixel also sees the average of the whole image. Such a model takes images of up to "
        "1024 pixels a side and cannot be tiled.",
    )
    pyramid_filters: Filters = Field(128, description="Filters of each branch of the atrous pyramid.")
    decoder_filters: Filters = Field(128, description="Filters of the decoder at stride 4.")
    jaccard_weight: float = Field(
        0.0, ge=0, lt=1, description="Weight of the soft Jaccard loss; the rest is that of cross-entropy."
    )
    pretrained: str | None = Field(
        None,
        description="Initial weights: null for random ones, `imagenet`, a model folder, or path or URL of a published "
        "graph (.pb or .tar.gz), which is used as it is.",
    )
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="SHA-256 checksum of a published graph; needed with a URL."
    )
    fine_tune: bool = Field(
        True,
        validate_default=True,
        description="Whether a pretrained model is trained further or used as it is.",
    )

    @property
    def is_graph(self) -> bool:
        """Whether the weights are a published graph."""
        return self.pretrained is not None and self.pretrained.endswith(GRAPHS)

    @field_validator("sha256")
    @classmethod
    def _is_of_a_graph(cls, sha256: str | None, info: ValidationInfo) -> str | None:
        pretrained = info.data.get("pretrained") or ""
        if sha256 and not pretrained.endswith(GRAPHS):
            raise ValueError("is for a published graph (.pb or .tar.gz); set it to null")
        return sha256

    @field_validator("fine_tune")
    @classmethod
    def _fits_the_weights(cls, fine_tune: bool, info: ValidationInfo) -> bool:
        pretrained = info.data.get("pretrained")
        if fine_tune and pretrained and pretrained.endswith(GRAPHS):
            raise ValueError("must be false: a published graph cannot be trained")
        if not fine_tune and pretrained in (None, IMAGENET):
            raise ValueError("false requires a pretrained model: set `pretrained`, or use true")
        return fine_tune

    def architecture(self) -> dict[str, Any]:
        """Return what a model folder must store to rebuild the network."""
        return self.model_dump(mode="json", exclude={"pretrained", "sha256", "fine_tune"})
