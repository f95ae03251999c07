"""A DeepLab as a semantic segmenter."""

from typing import ClassVar

from pydantic import BaseModel

from nucseg.models.deeplab.config import DeepLabConfig
from nucseg.models.deeplab.network import STRIDE, build_network, halo_of
from nucseg.models.semantic.model import PixelClassifier

_MAX_SIDE_TILED, _MAX_SIDE_WHOLE = 2048, 1024


class DeepLab(PixelClassifier):
    """A DeepLab with weights.

    Args:
        config: The parameters; the initial weights are ignored, see `nucseg.models.deeplab.pretrained`.
    """

    TITLE: ClassVar[str] = "DeepLab"
    CONFIG: ClassVar[type[BaseModel]] = DeepLabConfig

    def __init__(self, config: DeepLabConfig) -> None:
        super().__init__(
            config,
            build_network(config),
            stride=STRIDE,
            halo=halo_of(config),
            max_side=_MAX_SIDE_WHOLE if config.pooling else _MAX_SIDE_TILED,
            whole_images=config.pooling,
        )
