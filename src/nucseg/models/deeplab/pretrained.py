"""A DeepLab with its initial weights: random, of an earlier model, of ImageNet, or a published graph."""

from pathlib import Path

from nucseg.core.errors import ConfigError
from nucseg.models.backbones import efficientnet_lite, resnet
from nucseg.models.deeplab.config import IMAGENET, DeepLabConfig
from nucseg.models.deeplab.graph import PublishedDeepLab, fetch_graph
from nucseg.models.deeplab.model import DeepLab
from nucseg.models.semantic.model import take_weights

_SECTION = "deeplab.architecture"  # the section of the parameters in model_config.yml


def create(config: DeepLabConfig) -> DeepLab | PublishedDeepLab:
    """Build a DeepLab with the weights that `config.pretrained` names.

    Args:
        config: Its network must be that of a pretrained model; where the classes differ, their layer starts from random
            weights. Of a published graph, the classes alone matter.

    Returns:
        The model; random weights come from Keras's global seed.

    Raises:
        ConfigError: There is no such file or folder, its model has another network, or a URL comes without a checksum.
        DownloadError: Weights or graph cannot be fetched.
        ModelError: The folder holds no DeepLab, or the file no graph of one.
    """
    if config.pretrained is None:
        return DeepLab(config)
    if config.is_graph:
        return PublishedDeepLab(config.classes, fetch_graph(config.pretrained, config.sha256))
    model = DeepLab(config)
    if config.pretrained == IMAGENET:
        backbone = efficientnet_lite if config.trunk == "mobile" else resnet
        backbone.take_imagenet(model.keras_model.get_layer("trunk"))
    elif Path(config.pretrained).is_dir():
        source = DeepLab.load(Path(config.pretrained))
        shaping = ("trunk", "pooling", "pyramid_filters", "decoder_filters")
        take_weights(source, model, shaping, section=_SECTION, folder=config.pretrained, fine_tune=config.fine_tune)
    else:
        raise ConfigError(
            f"{_SECTION}.pretrained: {config.pretrained!r} is neither a folder, nor `{IMAGENET}`, nor a published "
            "graph (.pb or .tar.gz)."
        )
    return model
