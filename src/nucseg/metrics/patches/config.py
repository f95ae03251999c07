"""What can be chosen about the evaluation of a classifier of patches."""

from pydantic import BaseModel, ConfigDict, Field

from nucseg.core.types import Precision


class PatchEvaluationConfig(BaseModel):
    """`patches.model_evaluation`: how the test split is measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bootstrap: int = Field(1000, ge=0, le=100_000, description="Resamples of the cases for the intervals; 0: none.")
    hit_distance: float = Field(
        30.0, gt=0, le=1000, description="Pixels at most between a found and a true mitosis of a field."
    )
    precision: Precision = Field(
        "auto", description="Compute precision of the network; `auto` is bfloat16 if the processor is faster in it."
    )
