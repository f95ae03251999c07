"""A U-Net with its initial weights: random, of an earlier model, or a trunk trained on ImageNet."""

from pathlib import Path

from nucseg.core.errors import ConfigError
from nucseg.models.backbones import efficientnet_lite, resnet
from nucseg.models.semantic.model import take_weights
from nucseg.models.unet.config import IMAGENET, UNetConfig
from nucseg.models.unet.model import UNet

_SECTION = "unet.architecture"  # the section of the parameters in model_config.yml


def create(config: UNetConfig) -> UNet:
    """Build a U-Net with the weights that `config.pretrained` names.

    Args:
        config: Its network must be that of a pretrained model; where the classes differ, their layer starts from random
            weights.

    Returns:
        The model; random weights come from Keras's global seed.

    Raises:
        ConfigError: There is no such file or folder, or its model has another network.
        ModelError: The folder holds no U-Net, the file no weights of the trunk, or the ImageNet weights are not
            installed.
    """
    model = UNet(config)
    if config.pretrained is None:
        return model
    trunk, path = model.keras_model.get_layer("trunk"), Path(config.pretrained)
    if config.pretrained == IMAGENET:
        efficientnet_lite.take_imagenet(trunk)
    elif path.suffix == ".pth":
        if not path.is_file():
            raise ConfigError(f"{_SECTION}.pretrained: there is no file {config.pretrained!r}.")
        resnet.take_torchvision(trunk, path)
    elif path.is_dir():
        source, shaping = UNet.load(path), ("in_channels", "trunk", "decoder_filters")
        take_weights(source, model, shaping, section=_SECTION, folder=config.pretrained, fine_tune=config.fine_tune)
    else:
        raise ConfigError(f"{_SECTION}.pretrained: {config.pretrained!r} is neither a folder nor `{IMAGENET}`.")
    return model
