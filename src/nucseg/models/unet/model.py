"""A U-Net as a semantic segmenter."""

from typing import ClassVar

from pydantic import BaseModel

from nucseg.models.semantic.model import PixelClassifier
from nucseg.models.unet.config import UNetConfig
from nucseg.models.unet.network import build_network, halo_of, stride_of

_MAX_VALUES = 2048 * 2048 * 4  # probabilities that are computed at once
_MAX_SIDE, _MIN_SIDE = 2048, 1024


class UNet(PixelClassifier):
    """A U-Net with weights.

    Args:
        config: The parameters; the initial weights are ignored, see `nucseg.models.unet.pretrained`.
    """

    TITLE: ClassVar[str] = "U-Net"
    CONFIG: ClassVar[type[BaseModel]] = UNetConfig

    def __init__(self, config: UNetConfig) -> None:
        few = _MAX_SIDE**2 * len(config.classes) <= _MAX_VALUES
        super().__init__(
            config,
            build_network(config),
            stride=stride_of(config),
            halo=halo_of(config),
            max_side=_MAX_SIDE if few else _MIN_SIDE,
        )
