"""The parameters of `results_visualization.yml`, and of the same section of other tasks."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ImageChoice(BaseModel):
    """Which test images are drawn.

    Attributes:
        images: Names of the test images to draw; if the list is empty, the best, median and worst are drawn.
        best: Number of images with the highest score.
        median: Number of images around the median score.
        worst: Number of images with the lowest score.
        differ: Number of images on whose score two models differ most.
        rank_by: The per-image score that orders the images.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: list[str] = Field(
        default=[],
        description="Test images to draw, as `<image_id>` or `<dataset>/<image_id>`; empty: best, median and worst.",
    )
    best: int = Field(default=1, ge=0, le=100, description="Number of images with the highest score to draw.")
    median: int = Field(default=1, ge=0, le=100, description="Number of images around the median to draw.")
    worst: int = Field(default=2, ge=0, le=100, description="Number of images with the lowest score to draw.")
    differ: int = Field(
        default=2, ge=0, le=100, description="Number of images to draw on which the models differ most."
    )
    rank_by: str = Field(description="Column of `per_image.csv` by which images are ranked.")


class PatchVisualizationConfig(ImageChoice):
    """Which test images of classified patches are drawn."""

    best: int = Field(default=0, ge=0, le=100, description="Number of images with the highest score to draw.")
    median: int = Field(default=0, ge=0, le=100, description="Number of images around the median to draw.")
    worst: int = Field(default=12, ge=0, le=100, description="Number of images with the lowest score to draw.")
    rank_by: Literal["agreement"] = Field(
        default="agreement", description="Column of `per_image.csv` by which images are ranked."
    )


class SemanticVisualizationConfig(ImageChoice):
    """Which test images of class maps are drawn."""

    rank_by: Literal["mean_iou", "mean_dice", "pixel_accuracy", "boundary_f1"] = Field(
        default="mean_iou", description="Column of `per_image.csv` by which images are ranked."
    )


class VisualizationConfig(ImageChoice):
    """Which test images of nuclei are drawn, and how.

    Attributes:
        rank_by: The per-image score that orders the images.
        stretch: Lower and upper percentile of the pixels that become black and white in the pictures.
    """

    rank_by: Literal["ap_mean_50_90", "dsb2018_score", "f1_50", "aji", "pq"] = Field(
        default="ap_mean_50_90", description="Column of `per_image.csv` by which images are ranked."
    )
    stretch: tuple[float, float] = Field(
        default=(0.5, 99.8),
        description="Percentiles of an image's pixels drawn as black and white; affects pictures only, not the model.",
    )

    @model_validator(mode="after")
    def _stretch_is_a_range(self) -> Self:
        low, high = self.stretch
        if not 0 <= low < high <= 100:
            raise ValueError(f"stretch is {low}, {high}; allowed are two percentiles with 0 <= lower < upper <= 100")
        return self
