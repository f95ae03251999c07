import keras
import numpy as np
import pytest
from keras import ops

from nucseg.core.errors import ConfigError, ModelError
from nucseg.core.placement import Placement
from nucseg.core.window import Window
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.metrics.instances.overlap import overlaps
from nucseg.models.bundle import ModelBundle
from nucseg.models.mask_rcnn import model as model_module
from nucseg.models.mask_rcnn.config import MaskRCNNConfig
from nucseg.models.mask_rcnn.model import Detections, MaskRCNNSegmenter
from nucseg.models.mask_rcnn.pretrained import create
from nucseg.models.precision import use_precision
from nucseg.models.registry import create_model, kind_of
from nucseg.models.resized import resize_instances
from nucseg.models.tuning import SAME, SCORES, ap_mean
from whole_images import predict_whole


def f1(truths, found, threshold=0.5):
    pairs = [overlaps(truth, instances.labels) for truth, instances in zip(truths, found, strict=True)]
    matched = sum(int((pair.iou > threshold).sum()) for pair in pairs)
    return 2 * matched / (sum(len(pair.true_labels) for pair in pairs) + sum(map(len, found)))


def check(found, shape):
    assert found.labels.shape == shape
    assert (found.labels.dtype, found.scores.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(np.unique(np.append(found.labels, 0)), np.arange(len(found) + 1))
    assert (np.diff(found.scores) <= 0).all()


def test_it_overfits(trained, pairs):
    """150 steps on four images."""
    assert trained.history[-1] < trained.history[0] / 4
    found = predict_whole(trained, [image for image, _ in pairs], score_threshold=0.5)
    assert f1([labels for _, labels in pairs], found) > 0.95
    for (image, _), instances in zip(pairs, found, strict=True):
        check(instances, image.shape[:2])


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_a_higher_threshold_only_takes_nuclei_away(trained, draw_nuclei, precision):
    use_precision(precision)
    image = (draw_nuclei((90, 133), 20, seed=9, gap=0)[0] / np.float32(255))[..., None]
    everything = predict_whole(trained, [image], score_threshold=0.05)[0]
    assert len(everything) > 10
    for threshold in [0.05, 0.3, 0.5, 0.77, 1.0, float(np.median(everything.scores))]:
        found, expected = predict_whole(trained, [image], score_threshold=threshold)[0], everything.above(threshold)
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (64, 64), (128, 128), (256, 256), (131, 77)])
def test_any_size(trained, shape):
    image = np.random.default_rng(0).random((*shape, 1), np.float32)
    check(predict_whole(trained, [image], score_threshold=0.05)[0], shape)


def test_nuclei_stay_where_they_are_in_a_larger_image(trained, pairs):
    """The same picture in the corner of a larger one of odd sides."""
    image, labels = pairs[0]
    larger = np.pad(image, [(0, 45), (0, 87), (0, 0)], mode="edge")
    found = predict_whole(trained, [larger], score_threshold=0.5)[0]
    assert f1([np.pad(labels, [(0, 45), (0, 87)])], [found]) > 0.8


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0])
def test_a_constant_image_has_no_nuclei(trained, value):
    found = predict_whole(trained, [np.full((33, 70, 1), value, np.float32)], score_threshold=0.05)[0]
    assert len(found) == 0
    assert found.labels.shape == (33, 70)


@pytest.mark.parametrize(
    "image",
    [np.full((20, 20, 1), np.nan, np.float32), np.zeros((20, 20, 5), np.float32), np.zeros((20, 20), np.float32)],
    ids=["nan", "five channels", "no channel axis"],
)
def test_what_is_no_image_for_it_is_refused(trained, image):
    """The Predictor refuses or converts these before; a direct call gets the same kind of error."""
    from nucseg.core.errors import InputError

    with pytest.raises(InputError, match="finite"):
        predict_whole(trained, [image])


@pytest.mark.parametrize("scale", [1.0, 1.25])
def test_tiles_do_not_show(trained, tiny, draw_nuclei, scale):
    picture, _ = draw_nuclei((300, 420), 60, seed=4)
    image = (picture / np.float32(255))[..., None]
    # Caps that no image of this size reaches: they count for a whole image and for a tile alike.
    uncapped = MaskRCNNSegmenter(tiny.model_copy(update={"before_nms": 2000, "proposals": 1000}))
    uncapped.keras_model.set_weights(trained.keras_model.get_weights())
    predictor = Predictor(ModelBundle("tiny", uncapped, ()), PredictOptions(scale=scale, precision="float32"))
    whole = predictor.predict(image)
    assert len(whole) > 50
    uncapped.max_side = 4 * uncapped.stride + 2 * uncapped.halo
    assert uncapped.max_side < image.shape[1]  # so that there are tiles
    assert f1([whole.labels], [predictor.predict(image)], threshold=0.9) >= 0.99


def test_masks_of_each_level_are_those_of_all_at_once(trained):
    """Boxes below 40, 80 and 160 pixels and above: each is read from a level of its own, in any order and number."""
    network, rng = trained.keras_model, np.random.default_rng(4)
    features = network(rng.random((1, 256, 256, 1), np.float32))["features"]
    corner, sides = rng.uniform(0, 60, (300, 2)), rng.choice([20, 60, 120, 190], (300, 1))
    boxes = np.concatenate([corner, corner + sides], axis=1).astype(np.float32)
    levels = ops.convert_to_numpy(network.mask_levels(boxes))
    assert set(levels) == {0, 1, 2, 3}
    at_once = ops.sigmoid(network.draw_masks(features, trained.config.strides, boxes[None], levels[None]))[0]
    np.testing.assert_allclose(trained._masks(features, boxes, levels), ops.convert_to_numpy(at_once), atol=1e-5)
    assert trained._masks(features, boxes[:0], levels[:0]).shape == (0, 28, 28)


def test_parts_are_joined_by_centre(trained):
    masks = np.zeros((2, 28, 28), np.float32)
    left = Detections(np.array([[0, 0, 8, 8], [10, 28, 20, 40]], np.float32), np.array([0.9, 0.5], np.float32), masks)
    right = Detections(np.array([[0, 0, 6, 8]], np.float32), np.array([0.7], np.float32), masks[:1])
    parts = [(left, Window(0, 0, 40, 40)), (right, Window(0, 30, 40, 70))]
    found = trained.join(parts, Window(2, 0, 40, 70))
    np.testing.assert_array_equal(found.boxes, [[-2, 0, 6, 8], [-2, 30, 4, 38], [8, 28, 18, 40]])
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.5])
    assert len(trained.join(parts, Window(20, 0, 40, 70)).scores) == 0
    assert trained.max_radius(found) == np.ceil(12 * 0.6)


def test_what_is_found_in_an_enlarged_image_is_drawn_into_the_image(trained):
    """As if it had been found there: the masks are placed before they are drawn, so that no pixel is counted twice."""
    rng = np.random.default_rng(5)
    corners = rng.uniform(0, 60, (12, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(8, 30, (12, 2))], axis=1).astype(np.float32)
    round_ones = (np.hypot(*np.mgrid[-1:1:28j, -1:1:28j]) < 0.9).astype(np.float32)
    here = Detections(boxes, np.linspace(1, 0.5, 12, dtype=np.float32), np.repeat(round_ones[None], 12, 0))
    there = Detections(boxes * np.float32(1.75) - np.float32([1, 2, 1, 2]), here.scores, here.masks)
    placement = Placement((1 / 1.75, 1 / 1.75), (1 / 1.75, 2 / 1.75))
    thresholds = {"nms": 0.3, "mask": 0.5, "area": 100.0}
    expected = trained.decode(here, (96, 100), thresholds)
    found = trained.decode(there, (96, 100), {**thresholds, "area": 100 * 1.75**2}, placement)
    assert 2 < len(expected) < 12
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert np.count_nonzero(found.labels != expected.labels) < 5  # rounding


def test_what_is_asked_for_of_an_image_is_a_part_of_the_whole(trained, pairs):
    image = pairs[0][0][:61, :57]
    windows = [Window(16, 0, 61, 48), Window(32, 16, 48, 57)]
    thresholds = {"score": 0.1, "nms": 0.5}
    *parts, nothing = trained.propose([image, image, np.zeros_like(image)], thresholds, [*windows, windows[0]])
    whole = trained.propose([image], thresholds)[0]
    for part, window in zip(parts, windows, strict=True):
        expected = trained.join([(whole, Window.whole(image.shape))], window)
        assert len(part.scores) > 0
        for name in ("boxes", "scores", "masks"):
            np.testing.assert_allclose(getattr(part, name), getattr(expected, name), atol=1e-5)
    assert len(nothing.scores) == 0


def test_saved_and_loaded_it_gives_the_same(trained, pairs, tmp_path):
    trained.save(tmp_path)
    again = MaskRCNNSegmenter.load(tmp_path)
    assert again.thresholds == trained.thresholds
    assert kind_of(again) == "mask_rcnn"
    images = [image for image, _ in pairs]
    for one, two in zip(predict_whole(trained, images), predict_whole(again, images), strict=True):
        np.testing.assert_array_equal(one.labels, two.labels)
        np.testing.assert_array_equal(one.scores, two.scores)
    weights = sum(weight.nbytes for weight in trained.keras_model.get_weights())
    assert (tmp_path / "model.weights.h5").stat().st_size < 1.5 * weights + 200_000  # without the optimizer


def test_a_folder_that_is_no_model_is_refused(trained, tmp_path):
    with pytest.raises(ModelError, match="not a complete Mask R-CNN"):
        MaskRCNNSegmenter.load(tmp_path)
    trained.save(tmp_path)
    (tmp_path / "model.weights.h5").write_bytes(b"cut off")
    with pytest.raises(ModelError, match="not a complete Mask R-CNN"):
        MaskRCNNSegmenter.load(tmp_path)


def test_it_starts_from_an_earlier_model(trained, tiny, tmp_path):
    trained.save(tmp_path)
    parameters = {**tiny.architecture(), "pretrained": str(tmp_path)}
    model = create_model("mask_rcnn", parameters)
    for one, two in zip(model.keras_model.get_weights(), trained.keras_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(ConfigError, match="box_units = 32"):
        create_model("mask_rcnn", {**parameters, "box_units": 16})
    with pytest.raises(ConfigError, match="neither a folder"):
        create_model("mask_rcnn", {**parameters, "pretrained": str(tmp_path / "nowhere")})


def test_a_mask_head_of_another_shape_is_trained_alone(trained, tiny, make_batch, tmp_path):
    trained.save(tmp_path)
    parameters = {**tiny.architecture(), "pretrained": str(tmp_path), "fine_tune": "mask_head", "mask_channels": 12}
    model = create_model("mask_rcnn", parameters)
    network = model.keras_model
    assert {id(weight) for weight in network.trainable_weights} == {id(weight) for weight in network.mask_head.weights}
    before = {part: getattr(network, part).get_weights() for part in ("pyramid", "rpn", "box_head", "mask_head")}
    for part in ("pyramid", "rpn", "box_head"):
        for one, two in zip(before[part], getattr(trained.keras_model, part).get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)
    model.compile(keras.optimizers.Adam(1e-3))
    network.train_on_batch(*make_batch(model))
    for part, weights in before.items():
        changed = [(one != two).any() for one, two in zip(weights, getattr(network, part).get_weights(), strict=True)]
        assert all(changed) if part == "mask_head" else not any(changed)


def test_only_the_mask_head_may_differ_where_it_is_trained_alone(trained, tiny, tmp_path):
    trained.save(tmp_path)
    other = {"pretrained": str(tmp_path), "fine_tune": "mask_head", "mask_channels": 12, "box_units": 16}
    with pytest.raises(ConfigError, match=r"set mask_rcnn\.architecture\.box_units = 32\.$"):
        create_model("mask_rcnn", {**tiny.architecture(), **other})


def test_normalisation_stays_frozen_in_a_model_of_a_folder(tmp_path):
    parameters = {"preset": "resnet50", "pyramid_channels": 8, "box_units": 8, "mask_channels": 8}
    create(MaskRCNNConfig(**parameters)).save(tmp_path)
    model = create(MaskRCNNConfig(**parameters, pretrained=str(tmp_path)))
    trainable = {weight.path for weight in model.keras_model.trainable_weights}
    assert any("conv4_block2" in path for path in trainable)
    assert not any("bn/" in path for path in trainable)


def test_imagenet_weights_reach_the_backbone(monkeypatch):
    published = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(None, None, 3))
    monkeypatch.setattr(keras.applications, "ResNet50", lambda **options: published)
    config = MaskRCNNConfig(preset="resnet50", pretrained="imagenet", pyramid_channels=8, box_units=8, mask_channels=8)
    model = create(config)
    expected = published.get_layer("conv4_block2_2_conv").kernel
    found = next(w for w in model.keras_model.weights if w.path.endswith("conv4_block2_2_conv/kernel"))
    np.testing.assert_array_equal(found.numpy(), expected.numpy())
    trainable = {weight.path for weight in model.keras_model.trainable_weights}
    assert not any("bn/" in path for path in trainable)


def test_tuned_thresholds_are_the_best_of_those_tried(trained, pairs, tmp_path, monkeypatch):
    trained.save(tmp_path)
    model = MaskRCNNSegmenter.load(tmp_path)
    monkeypatch.setattr(model_module, "_GRID", {"nms": [0.3, 0.5], "mask": [0.4, 0.5], "score": SCORES})
    images, labels = [image for image, _ in pairs], [truth for _, truth in pairs]
    before = dict(model.thresholds)
    tuned = model.tune(images, labels)
    assert model.thresholds == before
    model.thresholds = tuned
    best = ap_mean(labels, predict_whole(model, images))
    for score in (0.2, 0.5, 0.8):
        for mask in (0.4, 0.5):
            model.thresholds = {"score": score, "nms": 0.5, "mask": mask, "area": 0}
            assert ap_mean(labels, predict_whole(model, images)) <= best + SAME


def test_thresholds_of_enlarged_images_are_chosen_in_the_frame_of_the_truth(trained, pairs, tmp_path, monkeypatch):
    """With every second pixel of the truth the same is best, but for the areas, which are a quarter."""
    trained.save(tmp_path)
    model = MaskRCNNSegmenter.load(tmp_path)
    monkeypatch.setattr(model_module, "_GRID", {"nms": [0.5], "mask": [0.5], "score": SCORES})
    images, labels = [image for image, _ in pairs], [truth[::2, ::2] for _, truth in pairs]
    model.thresholds = model.tune(images, labels)
    found = [resize_instances(each, (32, 32)) for each in predict_whole(model, images)]
    assert ap_mean(labels, found) > 0.3


def test_thresholds_stay_where_nothing_is_found(trained, tmp_path, caplog):
    trained.save(tmp_path)
    model = MaskRCNNSegmenter.load(tmp_path)
    before = dict(model.thresholds)
    assert model.tune([np.zeros((64, 64, 1), np.float32)], [np.ones((64, 64), np.int32)]) == before
    assert "No nucleus was found in the validation images" in caplog.text
