"""The parameters of pseudo-labelling: `pseudo_labelling.yml`."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from nucseg.models.unet.config import UNetConfig
from nucseg.training.config import NamedModel, SemanticSamplingConfig, TrainingConfig


class RoundConfig(BaseModel):
    """Network and training of a round."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: UNetConfig = Field(description="The network and its initial weights.")
    training: TrainingConfig = Field(description="How it is trained.")


class PseudoConfig(NamedModel):
    """`pseudo_labelling.yml`: how a model is trained from a few outlined areas."""

    images: Path | None = Field(
        None, description="Folder of further images, of which nothing is outlined; null: the outlined ones alone."
    )
    confidence: float = Field(
        0.9,
        ge=0.5,
        lt=1,
        description="Probability from which on the class of a pixel is learned from; other pixels are void.",
    )
    rounds: int = Field(2, ge=1, le=10, description="Number of rounds; the first sees the outlined areas alone.")
    sampling: SemanticSamplingConfig = Field(SemanticSamplingConfig(), description="Which patches are drawn.")
    first: RoundConfig = Field(description="The first round: a small model, strongly regularised.")
    further: RoundConfig = Field(description="The rounds after it: a larger model.")
