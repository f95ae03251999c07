"""What can be chosen about the evaluation of class maps."""

from pydantic import BaseModel, ConfigDict, Field

from nucseg.core.types import Precision


class SemanticEvaluationConfig(BaseModel):
    """`semantic.model_evaluation`: how the test split is measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bootstrap: int = Field(1000, ge=0, le=100_000, description="Resamples of the images for the intervals; 0: none.")
    boundary_distance: float = Field(
        2.0, ge=0, le=100, description="Pixels at most between a predicted and a true boundary that count as one."
    )
    object_overlap: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of an object's pixels that must be of its class in the other class map for a hit; 0: one "
        "pixel is enough.",
    )
    precision: Precision = Field(
        "auto", description="Compute precision of the network; `auto` is bfloat16 if the processor is faster in it."
    )
