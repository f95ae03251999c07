import json

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from nucseg.core.errors import ConfigError, InputError, ModelError
from nucseg.core.types import VOID
from nucseg.core.window import Window
from nucseg.models.precision import use_precision
from nucseg.models.unet.config import UNetConfig
from nucseg.models.unet.model import UNet
from nucseg.models.unet.pretrained import create

SMALL = {"in_channels": 1, "classes": ("background", "mark"), "decoder_filters": (8, 8, 8, 8)}


@pytest.fixture(autouse=True)
def _float32():
    use_precision("float32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return UNet(UNetConfig(**SMALL))


@pytest.fixture
def image():
    return np.random.default_rng(0).random((50, 37, 1), np.float32)


def test_probabilities_of_any_size(model, image):
    (found,) = model.probabilities([image])
    assert found.shape == (50, 37, 2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)
    padded = np.pad(image, [(0, 14), (0, 11), (0, 0)], mode="symmetric")[None]
    expected = keras.ops.softmax(model.network([padded]))[0, :50, :37]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    (pixel,) = model.probabilities([image[:1, :1]])
    assert pixel.shape == (1, 1, 2)


def test_a_window_has_the_probabilities_of_the_whole(model):
    image = np.random.default_rng(1).random((32, 640, 1), np.float32)
    (whole,) = model.probabilities([image])
    first = model.halo
    window, seen = Window(0, first + 32, 32, 352), image[:, 32 : 352 + model.halo]
    (part,) = model.probabilities([seen], [Window(0, first, 32, 320)])
    np.testing.assert_allclose(part, whole[window.slices], atol=1e-5)


def test_overfit():
    """It learns two patches by heart, void pixels left out."""
    keras.utils.set_random_seed(3)
    model = create(UNetConfig(**SMALL))
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 2, (2, 4, 4)), np.ones((8, 8))).astype(np.uint8)
    images = (0.3 + 0.4 * truth[..., None] + rng.normal(0, 0.05, (2, 32, 32, 1))).astype(np.float32)
    truth[:, :4] = VOID
    targets = np.stack([model.targets(*pair)[1][0] for pair in zip(images, truth, strict=True)])
    model.compile(keras.optimizers.Adam(3e-3))
    first, last = (model.keras_model.fit(images, targets, epochs=n, verbose=0).history["loss"][-1] for n in (1, 60))
    assert last < first / 5
    found = np.stack(model.probabilities(list(images))).argmax(-1)
    assert (found == truth)[truth != VOID].mean() > 0.98


def test_saved_and_loaded_it_says_the_same(model, image, tmp_path):
    model.save(tmp_path)
    loaded = UNet.load(tmp_path)
    assert loaded.classes == ("background", "mark")
    np.testing.assert_array_equal(loaded.probabilities([image])[0], model.probabilities([image])[0])
    assert json.loads((tmp_path / "config.json").read_text())["in_channels"] == 1
    (tmp_path / "model.weights.h5").unlink()
    with pytest.raises(ModelError, match="not a complete U-Net model"):
        UNet.load(tmp_path)


def test_targets_are_the_class_map(model):
    truth = np.array([[0, 1], [VOID, 0]], np.uint8)
    image = np.zeros((2, 2, 1), np.float32)
    same, (target,) = model.targets(image, truth)
    assert same is image
    np.testing.assert_array_equal(target[..., 0], truth)
    assert target.dtype == np.float32


def test_a_class_without_name_is_refused(model):
    with pytest.raises(InputError, match=r"has the class 20, but the model has 2 \(0 to 1: background, mark"):
        model.targets(np.zeros((1, 2, 1), np.float32), np.array([[1, 20]], np.uint8))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"classes": ("a",)}, "at least 2"),
        ({"classes": ("a", "b", "a")}, "'a' is there twice"),
        ({"trunk": "resnext50", "pretrained": "imagenet"}, "is for the trunk efficientnet_lite0"),
        ({"pretrained": "x.pth"}, "set trunk = resnext50"),
        ({"fine_tune": False}, "requires a pretrained model"),
        ({"decoder_filters": (8, 8, 8)}, "at least 4"),
    ],
)
def test_wrong_parameters(options, message):
    with pytest.raises(ValidationError, match=message):
        UNetConfig(**SMALL | options)


def test_from_a_folder_with_other_classes(model, tmp_path, caplog):
    """All layers but the last go on; with the same classes, the last, too."""
    model.save(tmp_path)
    same = create(UNetConfig(**SMALL, pretrained=str(tmp_path)))
    for one, two in zip(same.network.get_weights(), model.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert not caplog.messages
    three = create(UNetConfig(**SMALL | {"classes": ("a", "b", "c")}, pretrained=str(tmp_path)))
    assert "has the classes background, mark, not a, b, c: its last layer starts from random weights" in caplog.text
    np.testing.assert_array_equal(
        three.network.get_layer("features").get_weights()[0], model.network.get_layer("features").get_weights()[0]
    )
    with pytest.raises(ConfigError, match="has the classes background, mark"):
        create(UNetConfig(**SMALL | {"classes": ("a", "b")}, pretrained=str(tmp_path), fine_tune=False))
    with pytest.raises(ConfigError, match="the two must be equal"):
        create(UNetConfig(**SMALL | {"decoder_filters": (8, 8, 8, 4)}, pretrained=str(tmp_path)))
    with pytest.raises(ConfigError, match="neither a folder"):
        create(UNetConfig(**SMALL, pretrained=str(tmp_path / "no")))
    with pytest.raises(ConfigError, match="there is no file"):
        create(UNetConfig(**SMALL, trunk="resnext50", pretrained=str(tmp_path / "no.pth")))


def test_imagenet_weights_are_those_of_the_trunk():
    from nucseg.models.backbones.efficientnet_lite import build_trunk, take_imagenet

    expected = build_trunk(1, 16)
    take_imagenet(expected)
    found = create(UNetConfig(**SMALL, pretrained="imagenet")).network.get_layer("trunk")
    for one, two in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
