"""Mask R-CNN with first weights: random, of ImageNet, or of an earlier model."""

import logging
from pathlib import Path

import keras

from nucseg.core.errors import ConfigError, DownloadError
from nucseg.models.mask_rcnn.config import IMAGENET, MaskRCNNConfig
from nucseg.models.mask_rcnn.model import MaskRCNNSegmenter

_KEYS = "mask_rcnn.architecture"  # where the parameters stand in model_config.yml
_OF_MASK_HEAD = ("mask_size", "mask_convolutions", "mask_channels")
_log = logging.getLogger(__name__)


def create(config: MaskRCNNConfig) -> MaskRCNNSegmenter:
    """Build a Mask R-CNN model with the weights that `config.pretrained` names.

    Args:
        config: Its architecture must be that of the pretrained model; with `fine_tune: mask_head` the mask head may
            differ, begins anew, and is all that is trained.

    Returns:
        The model; random weights come from Keras's global seed, an earlier model brings its thresholds.

    Raises:
        ConfigError: There is no such folder, or the architecture is not that of the model in it.
        DownloadError: The ImageNet weights cannot be fetched.
        ModelError: The folder holds no Mask R-CNN model.
    """
    model = MaskRCNNSegmenter(config)
    if config.pretrained is None:
        return model
    if config.pretrained == IMAGENET:
        _take_imagenet(model)
        return model
    folder = Path(config.pretrained)
    if not folder.is_dir():
        raise ConfigError(
            f"{_KEYS}.pretrained: {config.pretrained!r} is neither a folder nor {IMAGENET!r}; set it to null to start "
            "from random weights."
        )
    source = MaskRCNNSegmenter.load(folder)
    head_alone = config.fine_tune == "mask_head"
    parts = ["pyramid", "rpn", "box_head", *([] if head_alone else ["mask_head"])]
    taken = [(getattr(model.keras_model, part), getattr(source.keras_model, part)) for part in parts]
    if any([w.shape for w in ours.weights] != [w.shape for w in theirs.weights] for ours, theirs in taken):
        free = {"pretrained", "fine_tune", *(_OF_MASK_HEAD if head_alone else ())}
        differ = [key for key, value in source.config if key not in free and getattr(config, key) != value]
        wanted = ", ".join(f"{_KEYS}.{key} = {getattr(source.config, key)}" for key in differ)
        raise ConfigError(f"{_KEYS}.pretrained: {folder} has another architecture; set {wanted}.")
    for ours, theirs in taken:
        ours.set_weights(theirs.get_weights())
        if head_alone:
            ours.trainable = False
    model.thresholds = source.thresholds
    _log.info("Start from the weights of %s: %s.", folder, ", ".join(parts))
    return model


def _take_imagenet(model: MaskRCNNSegmenter) -> None:
    """Copy the published weights of ResNet-50 into the backbone."""
    try:
        published = keras.applications.ResNet50(include_top=False, weights=IMAGENET, input_shape=(None, None, 3))
    except (OSError, ValueError, Exception) as error:  # Keras raises a bare Exception for a failed download
        raise DownloadError(
            f"{_KEYS}.pretrained: the ImageNet weights of ResNet-50 could not be downloaded ({error}). Connect to the "
            f"network, or put resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5 into {_keras_cache()}, then run "
            "again; or set it to null (random weights) or to a model folder, or use the preset small."
        ) from error
    features = next(layer for layer in model.keras_model.pyramid.layers if isinstance(layer, keras.Model))
    weights = dict(zip((weight.path for weight in published.weights), published.get_weights(), strict=True))
    for weight in features.weights:
        weight.assign(weights[weight.path])
    _log.info("The backbone starts from the weights of ImageNet.")


def _keras_cache() -> Path:
    return Path(keras.config.keras_home() if hasattr(keras.config, "keras_home") else Path.home() / ".keras") / "models"
