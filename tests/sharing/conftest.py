"""Small models of every kind, as names that the command line finds."""

import json
from pathlib import Path
from typing import Any

import keras
import pytest
from click.testing import CliRunner

from nucseg.cli import cli
from nucseg.images.transforms import Normalize
from nucseg.models.bundle import ModelBundle
from nucseg.models.mask_rcnn.config import MaskRCNNConfig
from nucseg.models.mask_rcnn.model import MaskRCNNSegmenter
from nucseg.models.patch_classifier.config import PatchClassifierConfig
from nucseg.models.patch_classifier.model import PatchNetwork
from nucseg.models.run import RunRecord
from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.model import StarDist
from nucseg.models.unet.config import UNetConfig
from nucseg.models.unet.model import UNet


@pytest.fixture(scope="module")
def models(small_stardist: Any, architectures: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the models unet (trained), lite, patches, pixels and mask_rcnn (with random weights)."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("models")
    record = RunRecord.model_validate(
        {"validation": {"n_images": 7, "scores": {"overall": {"n_images": 7, "f1_50": 0.875}}}}
    )
    ModelBundle("unet", small_stardist, (Normalize(),), record).save(folder / "unet")
    lite = StarDistConfig(
        in_channels=3, backbone="efficientnet_lite0", n_rays=8, decoder_filters=(4, 4, 4, 4), net_conv_after_unet=8
    )
    on_trunk = StarDist(lite)
    # Even ground shall have low scores: among many equal ones rounding would decide what is kept.
    scores = on_trunk.network.get_layer("prob")
    scores.kernel.assign(-scores.kernel)
    ModelBundle("lite", on_trunk, (Normalize(axis="channel"),)).save(folder / "lite")
    patches = PatchNetwork(PatchClassifierConfig(network="small", patch_size=32, views=4))
    patches.thresholds = {"probability": 0.25, "temperature": 2.0}
    ModelBundle("patches", patches, ()).save(folder / "patches")
    unet = UNetConfig(in_channels=1, decoder_filters=(4, 4, 4, 4))
    ModelBundle("pixels", UNet(unet), (Normalize(),)).save(folder / "pixels")
    mask_rcnn = MaskRCNNSegmenter(MaskRCNNConfig(**architectures["mask_rcnn"]))
    # Some anchors shall be proposals, and scores differ so much that rounding does not reorder them.
    objectness = mask_rcnn.keras_model.rpn.get_layer("objectness")
    objectness.bias.assign(objectness.bias / 2)
    for layer in (objectness, mask_rcnn.keras_model.box_head.get_layer("score")):
        layer.kernel.assign(200 * layer.kernel)
    ModelBundle("mask_rcnn", mask_rcnn, (Normalize(),)).save(folder / "mask_rcnn")
    return folder


@pytest.fixture
def export(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the function that runs `nucseg export` in an empty folder."""
    monkeypatch.setenv("NUCSEG_MODELS", str(models))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(cli, ["export", *arguments])


@pytest.fixture
def described(tmp_path: Path) -> Any:
    """Return the function that reads the description of an export."""
    return lambda folder: json.loads((tmp_path / folder / "description.json").read_text())
