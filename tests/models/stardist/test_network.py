"""StarDist on a trunk; what it has in common with the U-Net is tested there."""

import json

import keras
import numpy as np
import pytest
from stardist.matching import matching

from nucseg.core.errors import ConfigError
from nucseg.core.window import Window
from nucseg.models.backbones.efficientnet_lite import build_trunk, take_imagenet
from nucseg.models.precision import use_precision
from nucseg.models.registry import create_model
from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.model import StarDist
from whole_images import predict_whole

SMALL = {
    "backbone": "efficientnet_lite0",
    "in_channels": 1,
    "n_rays": 16,
    "decoder_filters": (8, 8, 8, 8),
    "net_conv_after_unet": 8,
    "refine_filters": 4,
}


@pytest.fixture(autouse=True)
def _float32():
    use_precision("float32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return StarDist(StarDistConfig(**SMALL))


def test_the_foreground_is_the_logits_of_each_cell_side_by_side(model):
    images = np.random.default_rng(0).random((2, 32, 48, 1), np.float32)
    logits = keras.Model(model.network.inputs, model.network.get_layer("foreground_logits").output)(images).numpy()
    probability, distances, foreground = (output.numpy() for output in model.network(images))
    assert probability.shape == (2, 16, 24, 1)
    assert distances.shape == (2, 16, 24, 16)
    assert foreground.shape == (2, 32, 48, 1)
    for row, column in np.ndindex(2, 2):
        expected = 1 / (1 + np.exp(-logits[..., 2 * row + column]))
        np.testing.assert_allclose(foreground[:, row::2, column::2, 0], expected, atol=1e-6)


def test_every_pixel_of_the_image_counts_at_stride_2(model):
    """Whatever the trunk makes of it: the image itself joins the last level of the decoder."""
    finest = keras.Model(model.network.inputs, model.network.get_layer("decoder3").input[-1])
    image = np.arange(16 * 16, dtype=np.float32).reshape(1, 16, 16, 1)
    np.testing.assert_array_equal(finest(image)[0, 1, 2, -4:], [image[0, r, c, 0] for r in (2, 3) for c in (4, 5)])


def test_nothing_beyond_the_halo_changes_a_pixel(model):
    """All weights are averages, of an image that becomes 0, so that every path counts and no unit saturates."""
    averaging = StarDist(model.config)
    for weight in averaging.network.weights:
        inputs = weight.shape[:2] if weight.shape[-1] == 1 else weight.shape[:-1]  # of a depthwise convolution
        weight.assign(np.full(weight.shape, 1 / np.prod(inputs) if len(weight.shape) > 1 else 0))
    side = 30 * averaging.stride
    blank = np.zeros((1, side, side, 1), np.float32)
    layers = [averaging.network.get_layer(name).output for name in ("dist", "foreground_logits")]
    reached = keras.Model(averaging.network.inputs, layers)
    reaches = []
    for middle in (side // 2, side // 2 + 15):
        changed = blank.copy()
        changed[0, middle, middle] = 20
        for new, old in zip(reached(changed), reached(blank), strict=True):
            cells = np.argwhere((new != old).numpy()[0, ..., 0])
            reaches.append(max(middle - 2 * cells.min(), 2 * cells.max() + 1 - middle))
    # No larger than needed: what is too large costs time.
    assert averaging.halo - 2 * averaging.stride < max(reaches) <= averaging.halo


def test_a_window_shows_what_the_whole_image_does(model, draw_nuclei):
    """The halo around it is all that it needs to see."""
    image = (draw_nuclei((656, 40), 60, seed=1, gap=0)[0] / np.float32(255))[..., None]
    thresholds = {"score": float(np.median(model.network(image[None, :, :32])[0]))}
    whole = model.propose([image], thresholds)[0]
    windows = [Window(0, 0, 224, 40), Window(224, 0, 448, 40), Window(448, 0, 656, 40)]
    reads = [window.grown(model.halo, image.shape[:2]) for window in windows]
    assert [read.shape for read in reads] == [(432, 40), (640, 40), (416, 40)]
    images = [image[read.slices] for read in reads]
    cores = [window.within(read) for window, read in zip(windows, reads, strict=True)]
    parts = list(zip(model.propose(images, thresholds, cores), windows, strict=True))
    tiled = model.join(parts, Window.whole(image.shape))
    by_place = [np.lexsort(found.points.T) for found in (whole, tiled)]
    assert len(whole.scores) > 100
    for name in ("points", "distances", "scores"):
        expected, found = (getattr(each, name)[order] for each, order in zip((whole, tiled), by_place, strict=True))
        np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(tiled.foreground, whole.foreground)


def test_polygons_of_each_pixel_are_those_of_its_place_in_the_cell(draw_nuclei):
    fine = StarDist(StarDistConfig(**SMALL, grid=1))
    image = (draw_nuclei((64, 48), 6, seed=1, gap=0)[0] / np.float32(255))[..., None]
    probability, distances, _ = (output.numpy()[0] for output in fine.network(image[None]))
    assert (probability.shape, distances.shape) == ((64, 48, 1), (64, 48, 16))
    core = Window(16, 3, 47, 40)
    found = fine.propose([image], {"score": 0.0}, [core])[0]
    rows, columns = (found.points + core[:2]).T
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(found.scores)
    np.testing.assert_allclose(found.scores, probability[rows, columns, 0], atol=1e-5)
    np.testing.assert_allclose(found.distances, np.maximum(distances[rows, columns], 1e-3), atol=1e-4)


def test_saved_and_loaded_it_gives_the_same(model, tmp_path):
    model.save(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["architecture"]["backbone"] == "efficientnet_lite0"
    images = np.random.default_rng(0).random((1, 32, 48, 1), np.float32)
    loaded = StarDist.load(tmp_path)
    for found, expected in zip(loaded.network(images), model.network(images), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module")
def unet():
    return StarDist(StarDistConfig(in_channels=1, n_rays=16, unet_n_depth=1, unet_n_filter_base=4))


def test_a_folder_of_before_there_were_trunks_is_a_unet(unet, tmp_path):
    unet.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["architecture"]["backbone"], config["architecture"]["decoder_filters"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert StarDist.load(tmp_path).config == unet.config


def test_the_weights_of_imagenet():
    trunk = build_trunk(1, 16)
    take_imagenet(trunk)
    created = create_model("stardist", {**SMALL, "pretrained": "imagenet"})
    for found, expected in zip(created.keras_model.get_layer("trunk").weights, trunk.weights, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_weights_of_an_earlier_model(model, unet, tmp_path):
    model.save(tmp_path)
    created = create_model("stardist", {**SMALL, "pretrained": str(tmp_path)})
    for found, expected in zip(created.network.weights, model.network.weights, strict=True):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ConfigError, match=r"set stardist\.architecture\.decoder_filters = \[8, 8, 8, 8\]\."):
        create_model("stardist", {**SMALL, "decoder_filters": (8, 8, 8, 12), "pretrained": str(tmp_path)})
    unet.save(tmp_path)
    with pytest.raises(ConfigError, match=r"set stardist\.architecture\.backbone = unet"):
        create_model("stardist", {**SMALL, "pretrained": str(tmp_path)})


@pytest.mark.parametrize(
    "parameters,says",
    [
        ({"backbone": "unet", "pretrained": "imagenet"}, "pretrained is 'imagenet': .*lite0, or pretrained = null"),
        ({"pretrained": "2D_versatile_fluo"}, "pretrained is '2D_versatile_fluo': .*backbone = unet"),
        ({"pretrained": "imagenet", "fine_tune": False}, "fine_tune is False"),
        ({"grid": 4}, "grid is 4: must be 1 or 2"),
    ],
)
def test_what_does_not_fit_is_refused(parameters, says):
    with pytest.raises(ConfigError, match=says):
        create_model("stardist", {**SMALL, **parameters})


@pytest.mark.slow
def test_it_learns_a_few_drawn_nuclei(draw_nuclei):
    keras.utils.set_random_seed(0)
    filters = {"decoder_filters": (16, 16, 16, 16), "net_conv_after_unet": 32, "refine_filters": 8}
    model = create_model("stardist", {**SMALL, **filters, "pretrained": "imagenet"})
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(5e-3, 150)))
    drawn = [draw_nuclei((64, 64), 6, seed=seed, gap=1) for seed in range(4)]
    images = [(picture / np.float32(255))[..., None] for picture, _ in drawn]
    items = [model.targets(image, labels)[1] for image, (_, labels) in zip(images, drawn, strict=True)]
    targets = tuple(np.stack(part) for part in zip(*items, strict=True))
    for _ in range(150):
        model.keras_model.train_on_batch(np.stack(images), targets)
    model.thresholds = model.tune(images, [labels for _, labels in drawn])
    found = predict_whole(model, images)
    results = [matching(labels, each.labels, 0.7) for (_, labels), each in zip(drawn, found, strict=True)]
    assert sum(result.tp for result in results) >= 22
    assert sum(result.fp for result in results) <= 2
