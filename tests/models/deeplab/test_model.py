import keras
import numpy as np
import pytest
from pydantic import ValidationError

from nucseg.core.errors import ConfigError, InputError
from nucseg.inference.options import PredictOptions
from nucseg.inference.semantic.predictor import SemanticPredictor
from nucseg.models.bundle import ModelBundle
from nucseg.models.deeplab.config import VOC_CLASSES, DeepLabConfig
from nucseg.models.deeplab.model import DeepLab
from nucseg.models.deeplab.pretrained import create
from nucseg.models.precision import use_precision

SMALL = {"classes": ("background", "cat"), "pyramid_filters": 8, "decoder_filters": 8}


@pytest.fixture(autouse=True)
def _float32():
    use_precision("float32")


def test_overfit():
    keras.utils.set_random_seed(3)
    model = create(DeepLabConfig(**SMALL))
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 2, (2, 4, 4)), np.ones((16, 16))).astype(np.uint8)
    images = (0.3 + 0.4 * truth[..., None] + rng.normal(0, 0.05, (2, 64, 64, 3))).astype(np.float32)
    targets = np.stack([model.targets(*pair)[1][0] for pair in zip(images, truth, strict=True)])
    model.compile(keras.optimizers.Adam(3e-3))
    first, last = (model.keras_model.fit(images, targets, epochs=n, verbose=0).history["loss"][-1] for n in (1, 60))
    assert last < first / 2
    assert (np.stack(model.probabilities(list(images))).argmax(-1) == truth).mean() > 0.9


def test_saved_and_loaded_it_says_the_same(tmp_path):
    keras.utils.set_random_seed(0)
    model = DeepLab(DeepLabConfig(**SMALL, pooling=True))
    ModelBundle("scenes", model, ()).save(tmp_path / "scenes")
    loaded = ModelBundle.load(tmp_path / "scenes").model
    assert isinstance(loaded, DeepLab)
    assert loaded.whole_images
    image = np.random.default_rng(0).random((40, 50, 3), np.float32)
    np.testing.assert_array_equal(loaded.probabilities([image])[0], model.probabilities([image])[0])
    other = create(DeepLabConfig(**SMALL | {"classes": VOC_CLASSES}, pooling=True, pretrained=str(tmp_path / "scenes")))
    np.testing.assert_array_equal(
        other.network.get_layer("decoder2").get_weights()[0], model.network.get_layer("decoder2").get_weights()[0]
    )
    with pytest.raises(ConfigError, match=r"deeplab.architecture.pooling is False, but .* has True"):
        create(DeepLabConfig(**SMALL, pretrained=str(tmp_path / "scenes")))


def test_a_model_with_pooling_refuses_tiles():
    model = DeepLab(DeepLabConfig(**SMALL, pooling=True))
    predictor = SemanticPredictor(ModelBundle("scenes", model, ()), PredictOptions(precision="float32"))
    image = np.zeros((8, 1100, 3), np.uint8)
    with pytest.raises(InputError, match=r"up to 1024 pixels a side, not tiles, and this one has 8 x 1100.*0\.92"):
        predictor.job(source(image))
    small = PredictOptions(precision="float32", scale=0.92)
    assert len(predictor.job(source(image), small).grid) == 1


def source(image):
    from nucseg.images.source import array_source

    return array_source(image, "scene")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"pretrained": "a.pb"}, "must be false: a published graph cannot be trained"),
        ({"sha256": "0" * 64}, "is for a published graph"),
        ({"fine_tune": False}, "requires a pretrained model"),
    ],
)
def test_wrong_parameters(options, message):
    with pytest.raises(ValidationError, match=message):
        DeepLabConfig(**SMALL | options)


def test_no_such_weights(tmp_path):
    with pytest.raises(ConfigError, match="neither a folder"):
        create(DeepLabConfig(**SMALL, pretrained=str(tmp_path / "no")))
