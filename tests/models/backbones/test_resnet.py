import keras
import numpy as np
import pytest

from nucseg.core.errors import DownloadError, ModelError
from nucseg.models.backbones.resnet import RESNET50, RESNEXT50, build_trunk, take_imagenet, take_torchvision
from nucseg.models.precision import use_precision

LEVELS = ("conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out")


@pytest.fixture(autouse=True)
def _float32():
    use_precision("float32")


@pytest.fixture(scope="module")
def published():
    keras.utils.set_random_seed(0)
    return keras.applications.ResNet50(include_top=False, weights=None, input_shape=(None, None, 3))


@pytest.fixture(scope="module")
def resnet50():
    keras.utils.set_random_seed(0)
    return build_trunk(RESNET50)


def test_resnet50_is_the_network_of_keras_layer_by_layer(published, resnet50):
    """The order counts, too: files of weights go by it."""
    kinds = [[(type(layer), layer.name) for layer in model.layers[1:]] for model in (published, resnet50)]
    assert kinds[0] == kinds[1]
    for expected, found in zip(published.weights, resnet50.weights, strict=True):
        assert expected.path == found.path
        np.testing.assert_array_equal(found, expected)
    images = np.random.default_rng(0).random((1, 64, 96, 3), np.float32) * 255
    expected = keras.Model(published.inputs, [published.get_layer(name).output for name in LEVELS])(images)
    for one, two in zip(resnet50(images), expected, strict=True):
        np.testing.assert_array_equal(one, two)


def count(trunk, trainable=True):
    return sum(int(np.prod(weight.shape)) for weight in (trunk.trainable_weights if trainable else trunk.weights))


@pytest.mark.parametrize("coarsest,strides", [(32, (2, 4, 8, 16, 32)), (16, (2, 4, 8, 16, 16)), (8, (2, 4, 8, 8, 8))])
@pytest.mark.parametrize("layout", [RESNET50, RESNEXT50], ids=["resnet50", "resnext50"])
def test_shapes(layout, coarsest, strides):
    shapes = build_trunk(layout, coarsest=coarsest).compute_output_shape((2, 64, 96, 3))
    channels = (64, 256, 512, 1024, 2048)
    assert [tuple(shape) for shape in shapes] == [
        (2, 64 // stride, 96 // stride, filters) for stride, filters in zip(strides, channels, strict=True)
    ]


def test_resnext50_has_the_weights_of_the_published_one():
    """torchvision's `resnext50_32x4d` has 25,028,904 parameters, 1000 x 2049 of them in its head."""
    trunk = build_trunk(RESNEXT50)
    assert count(trunk) == 25_028_904 - 1000 * 2049
    kernels = {weight.path: tuple(weight.shape) for weight in trunk.weights if weight.path.endswith("kernel")}
    assert kernels["conv2_block1_1_conv/kernel"] == (1, 1, 64, 128)
    assert kernels["conv2_block1_2_conv/kernel"] == (3, 3, 4, 128)  # 32 groups of 4
    assert kernels["conv5_block3_2_conv/kernel"] == (3, 3, 32, 1024)
    assert kernels["conv5_block3_3_conv/kernel"] == (1, 1, 1024, 2048)


def test_a_group_sees_its_channels_alone():
    trunk = build_trunk(RESNEXT50)
    layer = trunk.get_layer("conv2_block1_2_conv")
    image = np.zeros((1, 5, 5, 128), np.float32)
    image[..., 8:12] = 1  # of the third group
    changed = np.flatnonzero(np.abs(layer(image)).max((0, 1, 2)))
    assert changed.tolist() == [8, 9, 10, 11]


def test_a_dilated_level_holds_the_cells_of_the_coarse_one():
    """Of what a stage computes at twice the resolution, every second cell is what it was."""
    keras.utils.set_random_seed(0)
    coarse, fine = build_trunk(RESNEXT50), build_trunk(RESNEXT50, coarsest=16)
    fine.set_weights(coarse.get_weights())
    images = np.random.default_rng(0).random((1, 128, 128, 3), np.float32)
    expected, found = coarse(images)[-1], fine(images)[-1]
    # Up to the border, where the zeros around the map lie elsewhere.
    np.testing.assert_allclose(found[0, ::2, ::2], expected[0], rtol=1e-3, atol=1e-4)


def test_frozen_normalisation_is_not_trained():
    free, frozen = build_trunk(RESNET50), build_trunk(RESNET50, frozen=True)
    normalisation = {weight.path for weight in frozen.weights if "_bn/" in weight.path}
    assert {weight.path for weight in frozen.trainable_weights}.isdisjoint(normalisation)
    assert {weight.path for weight in free.trainable_weights} & normalisation
    assert len(frozen.trainable_weights) == 2 * 53  # kernels and biases


def test_imagenet_weights_are_taken(published, monkeypatch):
    monkeypatch.setattr(keras.applications, "ResNet50", lambda **options: published)
    trunk = build_trunk(RESNET50)
    take_imagenet(trunk)
    for expected, found in zip(published.weights, trunk.weights, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_imagenet_weights_that_cannot_be_fetched(monkeypatch):
    def fail(**options):
        raise OSError("no route to host")

    monkeypatch.setattr(keras.applications, "ResNet50", fail)
    with pytest.raises(DownloadError, match=r"no route to host.*resnet50_weights_tf_dim_ordering"):
        take_imagenet(build_trunk(RESNET50))


@pytest.fixture(scope="module")
def resnext50():
    keras.utils.set_random_seed(1)
    return build_trunk(RESNEXT50)


def torchvision_names(trunk):
    """Name the layers as torchvision's `resnext50_32x4d` does."""
    for layer in trunk.layers:
        if not layer.weights:
            continue
        *place, part, kind = layer.name.replace("conv1_", "stem_1_").split("_")
        if place == ["stem"]:
            yield layer, f"{kind}1"
        else:
            stage, block = int(place[0][4:]) - 1, int(place[1][5:]) - 1
            own = f"downsample.{['conv', 'bn'].index(kind)}" if part == "0" else f"{kind}{part}"
            yield layer, f"layer{stage}.{block}.{own}"


def test_torchvisions_weights_are_taken(resnext50, monkeypatch, tmp_path):
    rng, published = np.random.default_rng(0), {}
    for layer, name in torchvision_names(resnext50):
        if name.split(".")[-1].startswith("conv") or name.endswith("downsample.0"):
            rows, columns, inputs, outputs = layer.kernel.shape
            published[f"{name}.weight"] = rng.normal(size=(outputs, inputs, rows, columns)).astype(np.float32)
        else:
            for part in ("weight", "bias", "running_mean", "running_var"):
                published[f"{name}.{part}"] = rng.random(layer.gamma.shape[0], np.float32)
            published[f"{name}.num_batches_tracked"] = np.array(5)
    assert {"conv1.weight", "bn1.running_var", "layer1.0.downsample.0.weight", "layer4.2.conv3.weight"} < set(published)
    monkeypatch.setattr("nucseg.models.backbones.resnet.read_torch_file", lambda file: published)
    trunk = build_trunk(RESNEXT50, coarsest=16)
    take_torchvision(trunk, tmp_path / "resnext50.pth")
    kernel = trunk.get_layer("conv3_block1_2_conv").get_weights()[0]
    np.testing.assert_array_equal(kernel[0, 2, :, 7], published["layer2.0.conv2.weight"][7, :, 0, 2])
    variance = trunk.get_layer("conv5_block1_0_bn").get_weights()[3]
    np.testing.assert_array_equal(variance, published["layer4.0.downsample.1.running_var"])
    del published["layer4.2.conv3.weight"]
    with pytest.raises(ModelError, match=r"does not hold the weights of ResNeXt-50 32x4d \('layer4.2.conv3.weight'"):
        take_torchvision(trunk, tmp_path / "resnext50.pth")
