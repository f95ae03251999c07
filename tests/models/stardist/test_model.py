import copy
import inspect
import logging
from dataclasses import replace

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.segmentation import relabel_sequential
from stardist.matching import matching
from stardist.models import StarDist2D

from nucseg.core.errors import ModelError
from nucseg.core.placement import Placement
from nucseg.core.window import Window
from nucseg.masks.labels import make_whole
from nucseg.models.precision import use_precision
from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.foreground import FOREGROUND_BYTE
from nucseg.models.stardist.model import Candidates, StarDist
from nucseg.models.stardist.network import stardist_config
from nucseg.models.stardist.refining import refine
from nucseg.models.tuning import SAME
from whole_images import predict_whole

THRESHOLDS = {"score": 0.5, "nms": 0.4, "area": 0}
LOW = {"score": 0.1}
SMALL = {"n_rays": 16, "unet_n_depth": 2, "unet_n_filter_base": 4, "net_conv_after_unet": 8}


@pytest.fixture(autouse=True)
def _float32():
    use_precision("float32")


@pytest.fixture(scope="module")
def image(draw_nuclei):
    """An image whose sides are no multiples of the stride, as the network takes it."""
    return (draw_nuclei((90, 133), 20, seed=1, gap=0)[0] / np.float32(255))[..., None]


def same_nuclei(first, second):
    """Whether two label images show the same nuclei, whatever their numbers."""
    pairs = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1)
    one_to_one = len(pairs[0]) == len(np.unique(first)) == len(np.unique(second))
    return one_to_one and ((pairs[0] == 0) == (pairs[1] == 0)).all()


def test_polygons_of_the_targets_draw_the_nuclei(small_stardist, draw_nuclei):
    """What a perfect network would say gives back the nuclei."""
    _, labels = draw_nuclei((128, 128), 14, seed=5, gap=1)
    _, (probability, distances, foreground) = small_stardist.targets(np.zeros((128, 128, 1), np.float32), labels)
    keep = probability[..., 0] > 0.5
    scores = probability[keep][:, 0]
    order = np.argsort(-scores, kind="stable")
    polygons = 2 * np.argwhere(keep)[order], distances[keep][order, :-1], scores[order]
    found = small_stardist.decode(Candidates(*polygons), labels.shape, THRESHOLDS)
    result = matching(labels, found.labels, thresh=0.8)
    assert (result.tp, result.fp, result.fn) == (14, 0, 0)
    refined = small_stardist.decode(
        Candidates(*polygons, (255 * foreground[..., 0]).astype(np.uint8)), labels.shape, THRESHOLDS
    )
    np.testing.assert_array_equal(refined.labels > 0, labels > 0)
    assert matching(labels, refined.labels, thresh=0.8).mean_true_score > result.mean_true_score


@pytest.fixture(scope="module")
def plain(small_stardist):
    """The small model without its foreground head."""
    model = StarDist(small_stardist.config.model_copy(update={"refine_radius": 0}))
    model.network.set_weights(small_stardist.polygon_model.get_weights())
    model.thresholds = small_stardist.thresholds
    return model


def test_plain_instances_are_those_of_the_package(plain, draw_nuclei):
    package = StarDist2D(stardist_config(plain.config), basedir=None)
    package.keras_model.set_weights(plain.network.get_weights())
    picture = (draw_nuclei((96, 128), 20, seed=6, gap=0)[0] / np.float32(255))[..., None]
    found = predict_whole(plain, [picture], score_threshold=0.4)[0]
    labels, details = package.predict_instances(
        picture, prob_thresh=0.4, nms_thresh=plain.thresholds["nms"], predict_kwargs={"b": 0}
    )
    assert len(found) > 15
    assert same_nuclei(found.labels, labels)
    np.testing.assert_allclose(found.scores, np.sort(details["prob"])[::-1], rtol=1e-5)


def test_it_finds_nuclei_and_refined_ones_fit_better(small_stardist, plain, draw_nuclei):
    picture, labels = draw_nuclei((100, 140), 20, seed=7)
    refined, unrefined = (
        matching(labels, predict_whole(model, [(picture / np.float32(255))[..., None]])[0].labels, thresh=0.5)
        for model in (small_stardist, plain)
    )
    assert refined.f1 > 0.8
    assert refined.mean_true_score > unrefined.mean_true_score


def test_refined_nuclei_are_those_of_the_plain_model_within_the_radius(small_stardist, plain, image):
    candidates = small_stardist.propose([image], THRESHOLDS)[0]
    unrefined = plain.decode(candidates, image.shape[:2], THRESHOLDS)
    np.testing.assert_array_equal(unrefined.labels, predict_whole(plain, [image], score_threshold=0.5)[0].labels)
    refined = small_stardist.decode(candidates, image.shape[:2], THRESHOLDS)
    expected = make_whole(
        refine(unrefined.labels, candidates.foreground >= FOREGROUND_BYTE, small_stardist.config.refine_radius)
    )
    assert same_nuclei(refined.labels, expected)
    assert not same_nuclei(refined.labels, unrefined.labels)


def test_labels_have_no_gaps_and_scores_fall(small_stardist, image):
    found = predict_whole(small_stardist, [image], score_threshold=0.05)[0]
    assert found.labels.shape == image.shape[:2]
    assert (found.labels.dtype, found.scores.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(np.unique(found.labels), np.arange(len(found) + 1))
    assert (np.diff(found.scores) <= 0).all()
    assert found.scores.min() >= 0.05
    assert found.scores.max() <= 1


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_a_higher_threshold_only_takes_nuclei_away(small_stardist, image, precision):
    """In bfloat16 many scores are equal."""
    use_precision(precision)
    everything = predict_whole(small_stardist, [image], score_threshold=0.05)[0]
    for threshold in [0.05, 0.3, 0.5, 0.77, 1.0, float(everything.scores[3]), float(np.median(everything.scores))]:
        found = predict_whole(small_stardist, [image], score_threshold=threshold)[0]
        expected = everything.above(threshold)
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_array_equal(found.scores, expected.scores)


def draw_candidates(seed, n):
    """Draw circles of scores 0, 0.1, ..., 1 and a foreground map that has little to do with them."""
    rng = np.random.default_rng(seed)
    scores = np.sort(rng.integers(0, 11, n).astype(np.float32) / 10)[::-1]
    distances = np.repeat(rng.uniform(0.001, 8, (n, 1)), 16, 1).astype(np.float32)
    return Candidates(rng.integers(0, 40, (n, 2)), distances, scores, rng.integers(0, 256, (40, 40), np.uint8))


def check_same_instances(found, expected):
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(np.unique(np.append(found.labels, 0)), np.arange(len(found) + 1))


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 60), threshold=st.integers(0, 10))
def test_decoding_fewer_candidates_only_takes_nuclei_away(plain, seed, n, threshold):
    candidates = replace(draw_candidates(seed, n), foreground=None)
    expected = plain.decode(candidates, (40, 40), THRESHOLDS).above(threshold / 10)
    check_same_instances(plain.decode(candidates.above(threshold / 10), (40, 40), THRESHOLDS), expected)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 60),
    own=st.integers(1, 10),
    low=st.integers(1, 10),
    high=st.integers(1, 10),
)
def test_refined_a_higher_threshold_only_takes_nuclei_away(small_stardist, seed, n, own, low, high):
    """Thresholds below and above the model's own."""
    low, high = sorted((low, high))
    candidates = draw_candidates(seed, n)
    model = copy.copy(small_stardist)
    model.thresholds = {"score": own / 10, "nms": 0.4, "area": 0}
    model.propose = lambda images, thresholds: [candidates.above(thresholds["score"]) for _ in images]
    image = np.zeros((40, 40, 1), np.float32)
    few, many = (predict_whole(model, [image], score_threshold=threshold / 10)[0] for threshold in (high, low))
    check_same_instances(few, many.above(high / 10))
    if high >= own:  # what is weaker than its own threshold is not even looked at
        found = model.decode(candidates.above(own / 10), (40, 40), model.thresholds)
        check_same_instances(few, found.above(high / 10))


def test_weak_nuclei_get_what_the_strong_ones_leave(small_stardist):
    """The weak circle lies 2 pixels beside the strong one; the map says foreground everywhere."""
    circles = Candidates(
        np.array([[20, 12], [20, 25]]),
        np.array([[6.0] * 16, [5.0] * 16], np.float32),
        np.array([0.9, 0.2], np.float32),
        np.full((40, 40), 255, np.uint8),
    )
    both = small_stardist.decode(circles, (40, 40), THRESHOLDS)
    alone = small_stardist.decode(circles.above(0.5), (40, 40), THRESHOLDS)
    np.testing.assert_array_equal(both.labels == 1, alone.labels == 1)
    # Columns of row 20: the strong one's 7 to 17 has grown by 3, the weak one's 21 to 29 where there was room.
    row = both.labels[20]
    assert (np.flatnonzero(row == 1)[[0, -1]] == [3, 21]).all()
    assert (np.flatnonzero(row == 2)[[0, -1]] == [22, 33]).all()


def test_what_is_found_in_an_enlarged_image_is_drawn_into_the_image(small_stardist):
    """Circles of 12 pixels, at a scale of 1.5 and 2.5: their radius in the image is 8 and 4.8, whatever the grid."""
    foreground = np.full((60, 100), 255, np.uint8)
    foreground[:, 50:] = 0
    found = Candidates(np.array([[29, 20]]), np.full((1, 64), 12.0, np.float32), np.ones(1, np.float32), foreground)
    placement = Placement((1 / 1.5, 1 / 2.5), (0.25, -0.5))
    row, column = placement.centers(found.points)[0]
    rows, columns = np.indices((40, 38))
    outline = ((rows - row) / 8) ** 2 + ((columns - column) / 4.8) ** 2
    drawn = small_stardist.decode(replace(found, foreground=None), (40, 38), THRESHOLDS, placement).labels > 0
    assert not drawn[outline > 1].any()
    assert drawn[outline < 0.9].all()
    # The map, too: it ends at column 50 / 2.5 - 0.5, and within a radius of 3 / 2.5 pixels it adds a pixel elsewhere.
    narrow = replace(found, points=np.array([[29, 42]]))
    drawn = small_stardist.decode(narrow, (40, 38), THRESHOLDS, placement).labels > 0
    row, column = placement.centers(narrow.points)[0]
    assert np.flatnonzero(drawn.any(0))[[0, -1]].tolist() == [int(np.ceil(column - 4.8)) - 1, 19]


def test_a_nucleus_that_the_map_takes_away_is_dropped(small_stardist):
    """Nothing of the smaller circle is farther than 3 pixels from its border."""
    circles = Candidates(
        np.array([[12, 28], [12, 12]]),
        np.array([[2.0] * 16, [8.0] * 16], np.float32),
        np.array([0.9, 0.8], np.float32),
        np.zeros((24, 40), np.uint8),
    )
    found = small_stardist.decode(circles, (24, 40), THRESHOLDS)
    np.testing.assert_array_equal(found.scores, np.array([0.8], np.float32))
    assert found.labels[12, 12] == 1
    assert found.labels.max() == 1


def test_a_hidden_nucleus_is_dropped(small_stardist):
    """Two circles around a dot: the dot survives suppression at threshold 1 and is wholly covered."""
    candidates = Candidates(
        np.array([[20, 12], [20, 28], [20, 12]]),
        np.array([[9.0] * 16, [9.0] * 16, [2.0] * 16], np.float32),
        np.array([0.9, 0.8, 0.7], np.float32),
    )
    found = small_stardist.decode(candidates, (40, 40), {"score": 0.5, "nms": 1.0, "area": 0})
    np.testing.assert_array_equal(found.scores, np.array([0.9, 0.8], np.float32))
    assert found.labels[20, 12] == 1
    assert found.labels[20, 28] == 2
    assert found.labels.max() == 2
    areas = found.areas
    larger = small_stardist.decode(candidates, (40, 40), {"score": 0.5, "nms": 1.0, "area": areas.min()})
    np.testing.assert_array_equal(larger.labels, found.labels)
    assert len(small_stardist.decode(candidates, (40, 40), {"score": 0.5, "nms": 1.0, "area": areas.max() + 1})) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2), (2, 200), (17, 1)])
def test_tiny_images_give_an_answer(small_stardist, shape):
    picture = np.random.default_rng(0).random((*shape, 1), np.float32)
    found = predict_whole(small_stardist, [picture])[0]
    assert found.labels.shape == shape
    assert len(found) == found.labels.max()


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 100.0])
@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (33, 70)])
def test_a_constant_image_has_no_nuclei(small_stardist, shape, value):
    found = predict_whole(small_stardist, [np.full((*shape, 1), value, np.float32)], score_threshold=0.0)[0]
    assert found.labels.shape == shape
    assert len(found) == 0
    assert not found.labels.any()


def test_images_of_different_sizes_in_their_order(small_stardist, image):
    images = [image, image[:40], image[:, :70]]
    together = predict_whole(small_stardist, images)
    for picture, found in zip(images, together, strict=True):
        np.testing.assert_array_equal(found.labels, predict_whole(small_stardist, [picture])[0].labels)
    assert predict_whole(small_stardist, []) == []


@pytest.mark.parametrize("shape", [(64, 96), (61, 77)])
def test_repeated_grey_is_seen_as_its_copy(shape):
    model = StarDist(StarDistConfig(**SMALL | {"in_channels": 3}))
    grey = np.random.default_rng(0).random((*shape, 1), np.float32)
    repeated = np.broadcast_to(grey, (*shape, 3))
    lowest = {"score": 0.0}
    (found,), (expected,) = model.propose([repeated], lowest), model.propose([np.ascontiguousarray(repeated)], lowest)
    for name in ("points", "distances", "scores", "foreground"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_a_batch_is_proposed_as_its_images_are(small_stardist, image, monkeypatch):
    images = [image, np.zeros_like(image), image[::-1], image[:40]]
    alone = [small_stardist.propose([picture], LOW)[0] for picture in images]
    batches = []
    run = small_stardist._run
    monkeypatch.setattr(small_stardist, "_run", lambda batch, *rest: batches.append(len(batch)) or run(batch, *rest))
    together = small_stardist.propose(images, LOW)
    assert batches == [2, 1]
    for expected, found in zip(alone, together, strict=True):
        assert len(found.scores) == len(expected.scores)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
        np.testing.assert_array_equal(found.points, expected.points)
        np.testing.assert_allclose(found.distances, expected.distances, atol=1e-4)
    assert [len(found.scores) > 0 for found in together] == [True, False, True, True]


def test_joined_candidates_are_those_of_the_whole_image(small_stardist, image):
    whole = small_stardist.propose([image], LOW)[0]
    frame = Window.whole(image.shape)
    windows = [Window(0, 0, 90, 50), Window(0, 50, 40, 133), Window(40, 50, 90, 133)]
    parts = [(small_stardist.join([(whole, frame)], window), window) for window in windows]
    assert sum(len(part.scores) for part, _ in parts) == len(whole.scores)
    joined = small_stardist.join(parts, frame)
    for name in ("points", "distances", "scores", "foreground"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
    assert small_stardist.max_radius(whole) == np.ceil(whole.distances.max()) + small_stardist.config.refine_radius
    nothing = small_stardist.join([(whole, frame)], Window(1000, 1000, 1010, 1010))
    assert small_stardist.max_radius(nothing) == small_stardist.config.refine_radius
    assert len(small_stardist.decode(nothing, (10, 10), THRESHOLDS)) == 0


def test_what_is_asked_for_of_an_image_is_a_part_of_the_whole(small_stardist, plain, image):
    windows = [Window(0, 0, 90, 133), Window(32, 16, 64, 133), Window(16, 48, 90, 96), Window(16, 48, 90, 96)]
    images = [image, image, image, image[::-1]]
    for model in (small_stardist, plain):
        whole = [model.propose([each], LOW)[0] for each in images]
        *parts, nothing = model.propose([*images, np.zeros_like(image)], LOW, [*windows, windows[1]])
        for part, found, window in zip(parts, whole, windows, strict=True):
            expected = model.join([(found, Window.whole(image.shape))], window)
            assert len(part.scores) > 0
            for name in ("points", "distances", "scores"):
                np.testing.assert_allclose(getattr(part, name), getattr(expected, name), atol=1e-4)
            np.testing.assert_array_equal(part.foreground, expected.foreground)
        assert len(nothing.scores) == 0


@pytest.mark.parametrize(
    "changes",
    [{"grid": 1}, {"grid": 2}, {"grid": 4, "unet_n_depth": 1}, {"unet_n_depth": 3, "unet_n_conv_per_depth": 1}],
)
@pytest.mark.parametrize("refine_radius", [0, 3])
def test_nothing_beyond_the_halo_changes_a_pixel(changes, refine_radius):
    """All weights are positive, so that every path through the network counts."""
    model = StarDist(StarDistConfig(in_channels=1, refine_radius=refine_radius, **{**SMALL, **changes}))
    for weight in model.network.weights:
        weight.assign(np.full(weight.shape, 0.05))
    side = 4 * model.halo
    blank = np.ones((1, side, side, 1), np.float32)
    changed = blank.copy()
    middle = side // 2
    changed[0, middle, middle] += 1000
    layers = ["dist", "foreground_features"] if refine_radius else ["dist"]
    reached = keras.Model(model.network.inputs, {name: model.network.get_layer(name).output for name in layers})
    new, old = reached([changed]), reached([blank])
    reaches = []
    for name in layers:
        difference = np.abs(new[name].numpy() - old[name].numpy())[0, ..., 0] > 0
        reaches.append(np.abs(np.argwhere(difference) * (side // len(difference)) - middle).max())
    assert max(reaches) <= model.halo
    # No larger than needed either: what is too large costs time. Not every pixel's reach is the largest.
    assert max(reaches) > model.halo - 2 * model.stride


def test_stride_and_halo():
    config = StarDistConfig(in_channels=3, n_rays=32, grid=2, unet_n_depth=3, unet_n_filter_base=4)
    model = StarDist(config)
    assert (model.in_channels, model.stride, model.halo) == (3, 16, 112)
    assert StarDist(config.model_copy(update={"refine_radius": 0})).halo == 112


@pytest.mark.parametrize("loss,refine_radius", [("mae", 3), ("iou", 3), ("mae", 0)])
def test_training_reduces_the_loss_of_an_rgb_model(draw_nuclei, loss, refine_radius):
    keras.utils.set_random_seed(0)
    model = StarDist(StarDistConfig(in_channels=3, train_dist_loss=loss, refine_radius=refine_radius, **SMALL))
    model.compile(keras.optimizers.Adam(3e-3))
    picture, labels = draw_nuclei((64, 64), 8, seed=8, modality="histology")
    x, targets = model.targets(picture / np.float32(255), labels)
    x, targets = x[None], tuple(target[None] for target in targets)
    losses = [float(model.keras_model.train_on_batch(x, targets)[0]) for _ in range(12)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert not model.keras_model.jit_compile


@pytest.mark.parametrize("kind", ["plain", "small_stardist"])
def test_tuned_thresholds_are_the_best_of_those_tried(kind, request, draw_nuclei, tmp_path, caplog):
    request.getfixturevalue(kind).save(tmp_path)
    model = StarDist.load(tmp_path)
    drawn = [draw_nuclei((80, 96), 12, seed=20 + number, gap=0) for number in range(4)]
    images = [(picture / np.float32(255))[..., None] for picture, _ in drawn]
    truths = [labels for _, labels in drawn]

    def value(score, nms, area=0):
        model.thresholds = {"score": score, "nms": nms, "area": area}
        found = predict_whole(model, images)
        total = 0.0
        for threshold in (0.5, 0.6, 0.7, 0.8, 0.9):
            results = [matching(t, f.labels, threshold) for t, f in zip(truths, found, strict=True)]
            counts = np.sum([(r.tp, r.fp, r.fn) for r in results], axis=0)
            total += counts[0] / counts.sum() / 5
        return total

    before = dict(model.thresholds)
    with caplog.at_level(logging.INFO):
        tuned = model.tune(images, truths)
    assert model.thresholds == before
    best = value(**tuned)
    assert f"ap_mean_50_90 = {best:.4f}" in caplog.text
    assert all(value(score, nms) <= best + SAME for score in (0.2, 0.4, 0.5, 0.6, 0.8) for nms in (0.3, 0.4, 0.5))


def test_thresholds_stay_where_nothing_is_found(small_stardist, tmp_path, caplog):
    small_stardist.save(tmp_path)
    model = StarDist.load(tmp_path)
    before = dict(model.thresholds)
    assert model.tune([np.zeros((64, 64, 1), np.float32)], [np.ones((64, 64), np.int32)]) == before
    assert model.tune([], []) == before
    assert "No nucleus was found in the validation images" in caplog.text


def test_tensorflow_does_not_warn_of_tracing(image, monkeypatch, caplog, capfd):
    """It does of a function that it traces again and again, or cannot translate for want of its source."""

    def no_source(entity):
        raise OSError("could not get source code")

    monkeypatch.setattr(inspect, "findsource", no_source)
    model = StarDist(StarDistConfig(in_channels=1, **SMALL))
    predict_whole(model, [image[:side] for side in range(8, 80, 8)])
    said = caplog.text + "".join(capfd.readouterr())
    assert "AutoGraph" not in said
    assert "retracing" not in said


def test_loading_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(ModelError, match=r"not a complete StarDist model.*dvc pull"):
        StarDist.load(tmp_path)


def test_the_drawing_of_the_fixture_is_what_it_says(draw_nuclei):
    """`same_nuclei` must be able to say no."""
    _, labels = draw_nuclei((64, 64), 5, seed=0)
    renumbered = (labels > 0) * (6 - labels)
    assert same_nuclei(labels, renumbered)
    assert not same_nuclei(labels, relabel_sequential(np.where(labels == 2, 1, labels))[0])
    assert not same_nuclei(labels, np.roll(labels, 1, 0))
