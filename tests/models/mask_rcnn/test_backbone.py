"""Mask R-CNN on EfficientNet-Lite0; the other backbones are tested with the network."""

import keras
import numpy as np
import pytest
from stardist.models import Config2D, StarDist2D

from nucseg.core.errors import ConfigError
from nucseg.models.backbones.efficientnet_lite import build_trunk, take_imagenet
from nucseg.models.bundle import ModelBundle
from nucseg.models.mask_rcnn.backbone import build_backbone, build_pyramid, receptive_radius
from nucseg.models.mask_rcnn.config import MaskRCNNConfig
from nucseg.models.registry import create_model

LITE = {"backbone": "efficientnet_lite0", "in_channels": 1, "pyramid_channels": 8, "box_units": 8, "mask_channels": 4}


@pytest.fixture(scope="module")
def config():
    return MaskRCNNConfig(**LITE)


def test_a_level_for_each_stride_and_the_pixels_in_the_finest(config):
    backbone = build_backbone(config)
    image = np.arange(32 * 48, dtype=np.float32).reshape(1, 32, 48, 1)
    levels = [level.numpy() for level in backbone(image)]
    assert [level.shape[1:3] for level in levels] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    np.testing.assert_array_equal(levels[0][0, 1, 2, -4:], [image[0, r, c, 0] for r in (2, 3) for c in (4, 5)])


def test_nothing_beyond_the_receptive_radius_counts(config):
    pyramid = build_pyramid(build_backbone(config), config)
    for weight in pyramid.weights:  # averages, so that every path counts
        inputs = weight.shape[:2] if weight.shape[-1] == 1 else weight.shape[:-1]
        weight.assign(np.full(weight.shape, 1 / np.prod(inputs) if len(weight.shape) > 1 else 0))
    radius, stride = receptive_radius(config), config.strides[-1]
    side = 2 * (radius // stride + 3) * stride
    changed = np.zeros((1, side, side, 1), np.float32)
    changed[0, side // 2, side // 2] = 20
    finest, blank = pyramid(changed)[1], pyramid(np.zeros_like(changed))[1]  # the first that proposals are made from
    cells = np.argwhere((finest != blank).numpy()[0].any(-1))
    reach = max(side // 2 - 4 * cells.min(), 4 * cells.max() + 3 - side // 2)
    assert reach <= radius


def test_the_weights_of_imagenet():
    keras.utils.set_random_seed(0)
    model = create_model("mask_rcnn", {**LITE, "pretrained": "imagenet"})
    trunk = build_trunk(1, 16)
    take_imagenet(trunk)
    for ours, theirs in zip(
        model.keras_model.pyramid.get_layer("trunk").get_weights(), trunk.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_the_trunk_of_a_model_of_another_kind(tmp_path):
    keras.utils.set_random_seed(0)
    small = {"decoder_filters": [8, 8, 8, 8], "net_conv_after_unet": 8, "refine_filters": 8}
    stardist = create_model("stardist", {"in_channels": 1, "backbone": "efficientnet_lite0", **small})
    trunk = stardist.keras_model.get_layer("trunk")
    trunk.get_layer("block10_project").bias.assign_add(np.ones(112, np.float32))
    ModelBundle("own", stardist, ()).save(tmp_path / "own")
    from_own = {**LITE, "pretrained": str(tmp_path / "own")}
    found = create_model("mask_rcnn", from_own).keras_model.pyramid.get_layer("trunk").get_weights()
    for ours, theirs in zip(found, trunk.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ConfigError, match="another trunk than a Mask R-CNN with backbone = light"):
        create_model("mask_rcnn", {**from_own, "backbone": "light"})
    with pytest.raises(ConfigError, match="gives the trunk alone"):
        create_model("mask_rcnn", {**from_own, "fine_tune": False})


def test_a_model_of_the_stardist_package_has_another_trunk(tmp_path):
    sizes = {"n_rays": 16, "grid": (2, 2), "unet_n_depth": 2, "unet_n_filter_base": 4, "net_conv_after_unet": 8}
    stock = StarDist2D(Config2D(**sizes), name="stock", basedir=tmp_path)
    stock.keras_model.save_weights(tmp_path / "stock/weights_best.h5")
    with pytest.raises(ConfigError, match="stock has another trunk than a Mask R-CNN"):
        create_model("mask_rcnn", {**LITE, "pretrained": str(tmp_path / "stock")})
