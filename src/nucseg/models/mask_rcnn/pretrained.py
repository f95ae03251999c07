"""Mask R-CNN with initial weights: random, from ImageNet, or from an earlier model."""

import logging
from pathlib import Path

from nucseg.core.errors import ConfigError
from nucseg.models.backbones import efficientnet_lite, resnet
from nucseg.models.mask_rcnn.config import IMAGENET, MaskRCNNConfig
from nucseg.models.mask_rcnn.model import MaskRCNNSegmenter
from nucseg.models.registry import folder_kind, is_stock_folder, model_class

_KEYS = "mask_rcnn.architecture"  # the section of the parameters in model_config.yml
_MASK_HEAD_KEYS = ("mask_size", "mask_convolutions", "mask_channels")
_log = logging.getLogger(__name__)


def create(config: MaskRCNNConfig) -> MaskRCNNSegmenter:
    """Build a Mask R-CNN model with the weights that `config.pretrained` names.

    Args:
        config: Its architecture must be that of the pretrained model, or its trunk if that is of another kind; with
            `fine_tune: mask_head` the mask head may differ, starts from random weights, and is all that is trained.

    Returns:
        The model; random weights come from Keras's global seed, an earlier model also provides its thresholds.

    Raises:
        ConfigError: There is no such folder, or the architecture is not that of the model in it.
        DownloadError: The ImageNet weights cannot be fetched.
        ModelError: The folder holds no complete model.
    """
    model = MaskRCNNSegmenter(config)
    if config.pretrained is None:
        return model
    if config.pretrained == IMAGENET:
        published = efficientnet_lite if config.backbone == "efficientnet_lite0" else resnet
        published.take_imagenet(model.keras_model.pyramid.get_layer("trunk"))
        return model
    folder = Path(config.pretrained)
    if not folder.is_dir():
        raise ConfigError(
            f"{_KEYS}.pretrained: {config.pretrained!r} is neither a folder nor {IMAGENET!r}; set it to null to start "
            "from random weights."
        )
    kind = folder_kind(folder)
    if kind and kind != "mask_rcnn":
        _take_trunk(model, folder, kind)
        return model
    source = MaskRCNNSegmenter.load(folder)
    head_alone = config.fine_tune == "mask_head"
    parts = ["pyramid", "rpn", "box_head", *([] if head_alone else ["mask_head"])]
    taken = [(getattr(model.keras_model, part), getattr(source.keras_model, part)) for part in parts]
    if any([w.shape for w in ours.weights] != [w.shape for w in theirs.weights] for ours, theirs in taken):
        free = {"pretrained", "fine_tune", *(_MASK_HEAD_KEYS if head_alone else ())}
        differ = {key for key, value in source.config if key not in free and getattr(config, key) != value}
        theirs = source.config.model_dump(mode="json", include=differ)
        wanted = ", ".join(f"{_KEYS}.{key} = {value}" for key, value in theirs.items())
        raise ConfigError(f"{_KEYS}.pretrained: {folder} has another architecture; set {wanted}.")
    for ours, theirs in taken:
        ours.set_weights(theirs.get_weights())
        if head_alone:
            ours.trainable = False
    model.thresholds = source.thresholds
    _log.info("Starting from the weights of %s: %s.", folder, ", ".join(parts))
    return model


def _take_trunk(model: MaskRCNNSegmenter, folder: Path, kind: str) -> None:
    """Take the trunk's weights from a model of another kind; all other weights stay random."""
    config = model.config
    if config.fine_tune is not True:
        raise ConfigError(
            f"{_KEYS}.fine_tune: {folder} is no Mask R-CNN and gives the trunk alone, so the rest must be trained; set "
            "fine_tune to true."
        )
    try:
        if is_stock_folder(folder):
            raise ValueError("the stardist package has U-Nets alone")
        ours = model.keras_model.pyramid.get_layer("trunk")
        theirs = model_class(kind).load(folder).keras_model.get_layer("trunk")
        for layer in ours.layers:
            if layer.weights:
                layer.set_weights(theirs.get_layer(layer.name).get_weights())
    except ValueError as error:  # Keras raises it for a missing layer and for other shapes
        raise ConfigError(
            f"{_KEYS}.pretrained: the model in {folder} has another trunk than a Mask R-CNN with backbone = "
            f"{config.backbone}; choose another folder or backbone, or set pretrained to {IMAGENET}."
        ) from error
    _log.info("The trunk starts from the weights of %s.", folder)
