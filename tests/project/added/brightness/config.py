"""What `model_config.yml` may say under `brightness.architecture`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class BrightnessConfig(BaseModel):
    """The network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    in_channels: Literal[1] = Field(1, description="Channels of the images.")
    contrast: float = Field(20.0, gt=0, description="Slope of the first weights.")
