import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from nucseg.models.mask_rcnn.backbone import build_backbone, build_pyramid, receptive_radius
from nucseg.models.mask_rcnn.config import MaskRCNNConfig
from nucseg.models.mask_rcnn.model import MaskRCNNSegmenter
from nucseg.models.mask_rcnn.network import LOSSES, MaskRCNN
from nucseg.models.mask_rcnn.standardized_conv import StandardizedConv2D

RESNET50 = {"preset": "resnet50", "pyramid_channels": 16, "box_units": 16, "mask_channels": 16, "in_channels": 1}

FINEST = {"finest_convolution": False, "boxes_from_finest": True, "box_canonical": 28.0}


def test_shapes(tiny):
    network = MaskRCNN(tiny)
    outputs = network(np.zeros((2, 64, 96, 1), np.float32))
    assert [tuple(level.shape) for level in outputs["features"]] == [
        (2, 64 // stride, 96 // stride, 16) for stride in (2, 4, 8, 16)
    ]
    n_anchors = 3 * sum(64 * 96 // stride**2 for stride in (4, 8, 16))
    assert network.anchors((64, 96)).shape == (n_anchors, 4)
    assert outputs["logits"].shape == (2, n_anchors)
    assert outputs["codes"].shape == (2, n_anchors, 4)
    boxes = np.array([[[0, 0, 20, 20], [5, 5, 60, 90]]] * 2, np.float32)
    logits, codes = network.score_boxes(outputs["features"], boxes)
    assert (tuple(logits.shape), tuple(codes.shape)) == ((2, 2), (2, 2, 4))
    levels = network.mask_levels(boxes)
    assert network.draw_masks(outputs["features"], network.config.strides, boxes, levels).shape == (2, 2, 28, 28)


def gradients(network, x, y):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = network.compute_loss(x, y, network(x, training=True))
    return loss, tape.gradient(loss, network.trainable_variables)


@pytest.mark.parametrize("options", [{}, FINEST, RESNET50], ids=["small", "finest", "resnet50"])
def test_gradient_reaches_every_weight(tiny, make_batch, options):
    keras.utils.set_random_seed(0)
    model = MaskRCNNSegmenter(MaskRCNNConfig(**options) if "preset" in options else tiny.model_copy(update=options))
    x, y = make_batch(model)
    loss, found = gradients(model.keras_model, x, y)
    assert np.isfinite(float(loss))
    for variable, gradient in zip(model.keras_model.trainable_variables, found, strict=True):
        assert gradient is not None, variable.path
        dense = ops.convert_to_numpy(gradient)
        assert np.isfinite(dense).all(), variable.path
        assert dense.any(), variable.path
    assert {tracker.name for tracker in model.keras_model.metrics} >= {f"{name}_loss" for name in LOSSES}


def test_small_boxes_are_read_from_the_finest_level_where_the_head_sees_it(tiny):
    keras.utils.set_random_seed(0)
    boxes = np.array([[[8, 8, 20, 20], [0, 0, 60, 60]]], np.float32)
    rng = np.random.default_rng(0)
    for config, changes in [(tiny, [False, False]), (tiny.model_copy(update=FINEST), [True, False])]:
        network = MaskRCNN(config)
        features = [rng.normal(size=(1, 64 // side, 64 // side, 16)).astype(np.float32) for side in config.strides]
        before = ops.convert_to_numpy(network.score_boxes(features, boxes)[0])[0]
        features[0] = features[0] + 1
        after = ops.convert_to_numpy(network.score_boxes(features, boxes)[0])[0]
        np.testing.assert_array_equal(before != after, changes)


def test_the_finest_level_may_lack_a_convolution_of_its_own(tiny):
    first, second = (
        {layer.name for layer in build_pyramid(build_backbone(config), config).layers if layer.weights}
        for config in (tiny, tiny.model_copy(update=FINEST))
    )
    assert {name for name in first if name.startswith("level")} == {"level0", "level1", "level2", "level3"}
    assert {name for name in second if name.startswith("level")} == {"level1", "level2", "level3"}


def test_a_batch_without_nuclei_teaches_background(tiny):
    model = MaskRCNNSegmenter(tiny)
    image = np.random.default_rng(0).random((64, 64, 1), np.float32)
    x, y = model.targets(image, np.zeros((64, 64), np.int32))
    loss, found = gradients(model.keras_model, x[None], tuple(each[None] for each in y))
    assert np.isfinite(float(loss))
    assert all(np.isfinite(ops.convert_to_numpy(gradient)).all() for gradient in found if gradient is not None)
    values = {tracker.name: float(tracker.result()) for tracker in model.keras_model.trackers}
    assert values["rpn_score_loss"] > 0
    assert values["rpn_box_loss"] == values["box_loss"] == values["mask_loss"] == 0


def test_perfect_outputs_cost_nothing(tiny, make_batch):
    """The losses of the first stage against what a perfect network would say."""
    from nucseg.models.mask_rcnn.boxes import encode

    model = MaskRCNNSegmenter(tiny)
    _, (boxes, _, matches) = make_batch(model)
    anchors = model.keras_model.anchors((64, 64))
    codes = np.stack([encode(b[np.maximum(m, 0)], anchors, (1.0, 1.0)) for b, m in zip(boxes, matches, strict=True)])
    logits = np.where(matches >= 0, 20.0, -20.0).astype(np.float32)
    score, box = model.keras_model._rpn_losses({"logits": logits, "codes": codes}, boxes, matches, anchors)
    assert float(score) < 1e-6
    assert float(box) < 1e-6
    score, _ = model.keras_model._rpn_losses({"logits": -logits, "codes": codes}, boxes, matches, anchors)
    assert float(score) > 10


def test_the_draw_follows_the_seed(tiny, make_batch):
    def losses(training):
        keras.utils.set_random_seed(3)
        model = MaskRCNNSegmenter(tiny.model_copy(update={"positive_rois": 4, "negative_rois": 4}))
        x, y = make_batch(model)
        outputs = model.keras_model(x)
        return [float(model.keras_model.compute_loss(x, y, outputs, training=training)) for _ in range(3)]

    drawn = losses(True)
    assert len(set(drawn)) == 3
    assert drawn == losses(True)
    assert len(set(losses(False))) == 1


def test_standardized_kernels():
    """Output of unit deviation for input of unit second moment after a ReLU; a shift of the kernel changes nothing."""
    keras.utils.set_random_seed(0)
    layer = StandardizedConv2D(64, 3, name="layer")
    x = np.maximum(np.random.default_rng(0).normal(size=(1, 40, 40, 32)), 0).astype(np.float32)
    y = ops.convert_to_numpy(layer(x))[:, 1:-1, 1:-1]
    assert y.std() == pytest.approx(1, abs=0.1)
    layer.kernel.assign(layer.kernel + 3.0)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x))[:, 1:-1, 1:-1], y, atol=1e-2)


def test_nothing_beyond_the_receptive_radius_counts(tiny):
    """By the gradient of the coarsest level and of the proposals there, with weights that are all positive."""
    import tensorflow as tf

    network = MaskRCNN(tiny)
    network.set_weights([np.abs(weight) + 0.01 for weight in network.get_weights()])
    # Standardised kernels have mean 0: plain positive ones count every path.
    for layer in network.pyramid.layers:
        if isinstance(layer, StandardizedConv2D):
            layer.call = lambda x, layer=layer: ops.conv(x, layer.kernel, layer.stride, padding="same")
    radius, stride = receptive_radius(tiny), tiny.strides[-1]
    cells = 2 * (radius // stride + 2)
    image = tf.ones((1, cells * stride, cells * stride, 1))
    with tf.GradientTape() as tape:
        tape.watch(image)
        features = network.pyramid(image)
        middle = [level[:, level.shape[1] // 2, level.shape[2] // 2] for level in features]
        logits = tf.reshape(network.rpn(features[-1])[0], (cells, cells, -1))[cells // 2, cells // 2]
        total = sum(tf.reduce_sum(part) for part in middle) + tf.reduce_sum(logits)
    reached = np.argwhere(np.abs(tape.gradient(total, image).numpy())[0, ..., 0] > 0)
    farthest = np.abs(reached - cells // 2 * stride).max()
    assert radius - 2 * stride < farthest <= radius


_ANY_BACKEND = """
import json, sys
import keras, numpy as np
from nucseg.models.mask_rcnn.compiled import compiled
from nucseg.models.mask_rcnn.config import MaskRCNNConfig
from nucseg.models.mask_rcnn.network import MaskRCNN
folder = sys.argv[1]
network = MaskRCNN(MaskRCNNConfig(**json.load(open(f"{folder}/config.json"))))
network.load_weights(f"{folder}/network.weights.h5")
given = np.load(f"{folder}/given.npz")

def run(images, boxes):
    outputs = network(images)
    heads = network.score_boxes(outputs["features"], boxes)
    levels = network.mask_levels(boxes)
    masks = network.draw_masks(outputs["features"], network.config.strides, boxes, levels)
    return [outputs["logits"], outputs["codes"], *heads, masks]

parts = compiled(run)(given["images"], given["boxes"])
np.savez(f"{folder}/{keras.backend.backend()}.npz", *[keras.ops.convert_to_numpy(part) for part in parts])
"""


@pytest.mark.parametrize("other", ["jax", "torch"])
def test_tensorflow_and_other_backends_agree(tiny, trained, tmp_path, pairs, other, monkeypatch):
    if find_spec(other) is None:
        give_up = pytest.fail if other in os.environ.get("NUCSEG_REQUIRE", "") else pytest.skip
        give_up(f"{other} is not installed")
    (tmp_path / "config.json").write_text(json.dumps(tiny.architecture()))
    trained.keras_model.save_weights(tmp_path / "network.weights.h5")
    images = np.stack([image for image, _ in pairs[:2]])
    corner = np.random.default_rng(0).uniform(0, 40, (2, 8, 2))
    boxes = np.concatenate([corner, corner + np.random.default_rng(1).uniform(4, 24, (2, 8, 2))], -1)
    np.savez(tmp_path / "given.npz", images=images, boxes=boxes.astype(np.float32))
    # Everything is compiled and run once: code that is compiled quickly, not code that runs quickly.
    flags = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    subprocess.run(
        [sys.executable, "-c", _ANY_BACKEND, str(tmp_path)],
        env=os.environ | {"KERAS_BACKEND": other, "JAX_PLATFORMS": "cpu"} | flags,
        cwd=Path(__file__).parents[3],
        check=True,
        timeout=600,
    )
    monkeypatch.setattr(sys, "argv", ["-c", str(tmp_path)])
    exec(_ANY_BACKEND, {})
    with np.load(tmp_path / "tensorflow.npz") as one, np.load(tmp_path / f"{other}.npz") as two:
        assert len(one.files) == 5
        for name in one.files:
            np.testing.assert_allclose(two[name], one[name], atol=1e-4)


def test_no_step_recompiles(tiny, make_batch, monkeypatch):
    traces = []
    loss = MaskRCNN.compute_loss
    monkeypatch.setattr(MaskRCNN, "compute_loss", lambda *given, **named: traces.append(1) or loss(*given, **named))
    model = MaskRCNNSegmenter(tiny)
    model.compile(keras.optimizers.Adam(1e-4))
    counts = []
    for n_nuclei in (0, 1, 6, 3):
        model.keras_model.train_on_batch(*make_batch(model, n_nuclei=n_nuclei))
        counts.append(len(traces))
    assert counts == [counts[0]] * 4
    model.keras_model.train_on_batch(*make_batch(model, n=3))  # another size of a batch is compiled
    assert len(traces) > counts[0]


def test_the_small_preset_is_small():
    """As docs/models.md says; in float32 it is half of what a shipped model may take."""
    n_weights = MaskRCNN(MaskRCNNConfig(preset="small")).count_params()
    assert n_weights < 5_000_000


def test_a_file_of_weights_of_before_the_backbone_was_shared(tmp_path):
    """Files go by the order of the layers: on Keras's own ResNet-50, as the backbone was built then."""
    config = MaskRCNNConfig(**RESNET50)
    images = keras.Input((None, None, 1))
    x = keras.ops.flip(keras.layers.Concatenate()([images] * 3), axis=-1)
    x = keras.layers.Rescaling(255.0, offset=[-103.939, -116.779, -123.68])(x)
    published = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(None, None, 3))
    names = ("conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out")
    features = keras.Model(published.inputs, [published.get_layer(name).output for name in names])
    before = build_pyramid(keras.Model(images, features(x), name="backbone"), config)
    before.save_weights(tmp_path / "before.weights.h5")
    now = build_pyramid(build_backbone(config), config)
    now.load_weights(tmp_path / "before.weights.h5")
    image = np.random.default_rng(0).random((1, 64, 96, 1), np.float32)
    for one, two in zip(now(image), before(image), strict=True):
        np.testing.assert_array_equal(one, two)
