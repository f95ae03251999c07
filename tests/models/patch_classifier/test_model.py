import json
import threading

import keras
import numpy as np
import pytest

from nucseg.core.errors import ConfigError, InputError, ModelError
from nucseg.models.bundle import ModelBundle
from nucseg.models.patch_classifier.config import PatchClassifierConfig
from nucseg.models.patch_classifier.model import PatchNetwork
from nucseg.models.registry import create_model


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    made = PatchNetwork(PatchClassifierConfig(network="small", patch_size=32))
    made.thresholds = {"probability": 0.25, "temperature": 2.0}
    return made


@pytest.fixture(scope="module")
def patches():
    return np.random.default_rng(2).integers(0, 256, (5, 32, 32, 3), np.uint8)


def test_saved_and_loaded_it_says_the_same(model, patches, tmp_path):
    ModelBundle("mitosis", model, ()).save(tmp_path / "m")
    loaded = ModelBundle.load(tmp_path / "m").model
    assert json.loads((tmp_path / "m/config.json").read_text())["model"] == "patch_classifier"
    assert isinstance(loaded, PatchNetwork)
    assert loaded.thresholds == model.thresholds
    assert (loaded.patch_size, loaded.pixel_size, loaded.classes) == (32, 0.25, ("other", "mitosis"))
    np.testing.assert_array_equal(loaded.classify(patches), model.classify(patches))


def test_a_damaged_folder_is_refused(model, tmp_path):
    model.save(tmp_path)
    (tmp_path / "thresholds.json").write_text('{"probability": 0.5}')
    with pytest.raises(ModelError, match="not a complete patch classifier model"):
        PatchNetwork.load(tmp_path)


def test_probabilities(model, patches):
    found = model.classify(patches)
    assert found.shape == (5,)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.log(found / (1 - found)), model.logits(patches) / 2, rtol=1e-4, atol=1e-5)
    expected = keras.ops.convert_to_numpy(model.network(patches[:1].astype(np.float32) / 255, training=False))
    np.testing.assert_allclose(model.logits(patches[:1]), expected[0], rtol=1e-4, atol=1e-5)
    assert model.classify(patches[:0]).shape == (0,)


def test_more_patches_than_a_batch(model, patches):
    many = np.concatenate([patches] * 30)
    np.testing.assert_allclose(model.classify(many)[-5:], model.classify(patches), rtol=1e-4)


@pytest.mark.parametrize("views, moves", [(4, [np.flipud, np.fliplr]), (8, [np.flipud, np.fliplr, np.rot90])])
def test_with_several_views_a_flip_or_turn_changes_nothing(model, patches, views, moves):
    turned = PatchNetwork(model.config.model_copy(update={"views": views}))
    turned.keras_model.set_weights(model.keras_model.get_weights())
    for move in moves:
        moved = np.stack([move(patch) for patch in patches])
        np.testing.assert_allclose(turned.logits(moved), turned.logits(patches), rtol=1e-3, atol=1e-4)
        assert np.abs(model.logits(moved) - model.logits(patches)).max() > 1e-3


@pytest.mark.parametrize("shape", [(1, 64, 64, 3), (1, 32, 32), (1, 32, 32, 4), (32, 32, 3)])
def test_other_patches_are_refused(model, shape):
    with pytest.raises(InputError, match="they must be 32 x 32 pixels of 3 bytes"):
        model.classify(np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match="type float32"):
        model.classify(np.zeros((1, 32, 32, 3), np.float32))


def test_threads_do_not_disturb_each_other(model, patches):
    expected, found = model.classify(patches), {}

    def run(number):
        found[number] = model.classify(patches)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in found.values():
        np.testing.assert_array_equal(answer, expected)


def test_it_learns_and_is_tuned():
    keras.utils.set_random_seed(3)
    model = PatchNetwork(PatchClassifierConfig(network="small", patch_size=32))
    rng = np.random.default_rng(4)
    classes = np.arange(32) % 2
    patches = rng.integers(100, 156, (32, 32, 32, 3), np.uint8)
    patches[classes == 1, 12:20, 12:20] = 20  # a dark spot in the middle
    model.compile(keras.optimizers.Adam(3e-3))
    items = [
        model.targets(patch.astype(np.float32) / 255, int(truth)) for patch, truth in zip(patches, classes, strict=True)
    ]
    x, y = np.stack([x for x, _ in items]), np.stack([y for _, (y,) in items])
    model.keras_model.fit(x, y, batch_size=8, epochs=12, verbose=0)
    chosen = model.tune(list(patches), list(classes))
    assert model.thresholds == {"probability": 0.5, "temperature": 1.0}
    model.thresholds = chosen
    found = model.classify(patches) >= chosen["probability"]
    np.testing.assert_array_equal(found, classes == 1)


def test_initial_weights_of_a_folder(model, patches, tmp_path):
    ModelBundle("mitosis", model, ()).save(tmp_path / "m")
    start = {"network": "small", "patch_size": 32, "pretrained": str(tmp_path / "m")}
    taken = create_model("patch_classifier", start)
    np.testing.assert_array_equal(taken.classify(patches), model.classify(patches))
    with pytest.raises(ConfigError, match=r"network is 'lite', but .* has 'small'; the two must be equal"):
        create_model("patch_classifier", {**start, "network": "lite"})
    with pytest.raises(ConfigError, match="'nowhere' is neither a folder nor `imagenet`"):
        create_model("patch_classifier", {**start, "pretrained": "nowhere"})
    with pytest.raises(ConfigError, match="set network = lite or resnet50"):
        create_model("patch_classifier", {"network": "small", "pretrained": "imagenet"})
    with pytest.raises(ConfigError, match="false requires a pretrained model"):
        create_model("patch_classifier", {"fine_tune": False})
