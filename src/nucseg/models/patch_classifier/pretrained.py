"""A patch classifier with its initial weights: random, of an earlier model, or a trunk trained on ImageNet."""

from pathlib import Path

from nucseg.core.errors import ConfigError
from nucseg.models.backbones import efficientnet_lite, resnet
from nucseg.models.patch_classifier.config import IMAGENET, PatchClassifierConfig
from nucseg.models.patch_classifier.model import PatchNetwork

_SECTION = "mitosis.architecture"  # the section of the parameters in model_config.yml


def create(config: PatchClassifierConfig) -> PatchNetwork:
    """Build a classifier with the weights that `config.pretrained` names.

    Args:
        config: Its network and its patches must be those of a pretrained model.

    Returns:
        The model; random weights come from Keras's global seed, those of a folder bring their thresholds.

    Raises:
        ConfigError: There is no such folder, or its model has another network.
        DownloadError: The weights of ImageNet of ResNet-50 cannot be fetched.
        ModelError: The folder holds no patch classifier, or the ImageNet weights of EfficientNet-Lite0 are missing.
    """
    if config.pretrained is None:
        return PatchNetwork(config)
    if config.pretrained == IMAGENET:
        model = PatchNetwork(config)
        backbone = efficientnet_lite if config.network == "lite" else resnet
        backbone.take_imagenet(model.keras_model.get_layer("trunk"))
        return model
    folder = Path(config.pretrained)
    if not folder.is_dir():
        raise ConfigError(f"{_SECTION}.pretrained: {config.pretrained!r} is neither a folder nor `{IMAGENET}`.")
    source = PatchNetwork.load(folder)
    for name in ("network", "patch_size", "pixel_size", "classes"):
        theirs, wanted = getattr(source.config, name), getattr(config, name)
        if theirs != wanted:
            raise ConfigError(
                f"{_SECTION}.{name} is {wanted!r}, but {config.pretrained} has {theirs!r}; the two must be equal."
            )
    model = PatchNetwork(config)
    model.keras_model.set_weights(source.keras_model.get_weights())
    model.thresholds = source.thresholds
    return model
