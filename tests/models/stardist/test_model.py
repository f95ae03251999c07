import logging
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.segmentation import relabel_sequential
from stardist.matching import matching
from stardist.models import StarDistData2D

from nucseg.core.errors import ModelError
from nucseg.models.precision import use_precision
from nucseg.models.stardist import model as model_module
from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.model import Candidates, StarDist

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


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_targets_are_those_of_the_package(draw_nuclei, grid):
    picture, labels = draw_nuclei((64, 96), 12, seed=3, gap=0)
    picture = picture.astype(np.float32)
    model = StarDist(StarDistConfig(in_channels=1, grid=grid, **SMALL))
    x, (probability, distances) = model.targets(picture[..., None], labels)
    data = StarDistData2D(
        [picture], [labels], batch_size=1, n_rays=16, length=1, patch_size=(64, 96), grid=(grid, grid)
    )
    (xs,), (probabilities, distances_and_weights) = data[0]
    np.testing.assert_array_equal(x, xs[0])
    np.testing.assert_array_equal(probability, probabilities[0])
    np.testing.assert_array_equal(distances, distances_and_weights[0])
    assert (probability.dtype, distances.dtype) == (np.float32, np.float32)


def test_targets_do_not_depend_on_the_numbers(small_stardist, draw_nuclei):
    picture, labels = draw_nuclei((64, 64), 8, seed=4)
    numbers = np.array([0, 70_000, 3, 65_536, 131_072, 9, 200_000, 1, 2**30], np.int32)
    for expected, found in zip(
        small_stardist.targets(picture[..., None], labels)[1],
        small_stardist.targets(picture[..., None], numbers[labels])[1],
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("label", [0, 7])
@pytest.mark.filterwarnings("ignore:EDT of constant")
def test_targets_of_a_patch_without_borders(small_stardist, label):
    _, (probability, distances) = small_stardist.targets(
        np.zeros((32, 32, 1), np.float32), np.full((32, 32), label, np.int32)
    )
    assert (probability > 0).all() == (distances[..., :-1] > 0).all() == bool(label)


def test_targets_from_several_threads(small_stardist, draw_nuclei):
    patches = [draw_nuclei((64, 64), 5, seed=seed) for seed in range(16)]

    def make(patch):
        return small_stardist.targets(patch[0][..., None], patch[1])[1]

    with ThreadPoolExecutor(4) as pool:
        for alone, together in zip(map(make, patches), pool.map(make, patches), strict=True):
            np.testing.assert_array_equal(together[1], alone[1])


def test_polygons_of_the_targets_draw_the_nuclei(small_stardist, draw_nuclei):
    """What a perfect network would say gives back the nuclei."""
    _, labels = draw_nuclei((128, 128), 14, seed=5, gap=1)
    _, (probability, distances) = small_stardist.targets(np.zeros((128, 128, 1), np.float32), labels)
    keep = probability[..., 0] > 0.5
    scores = probability[keep][:, 0]
    order = np.argsort(-scores, kind="stable")
    found = small_stardist.decode(
        Candidates(2 * np.argwhere(keep)[order], distances[keep][order, :-1], scores[order]), labels.shape
    )
    result = matching(labels, found.labels, thresh=0.8)
    assert (result.tp, result.fp, result.fn) == (14, 0, 0)


def test_instances_are_those_of_the_package(small_stardist, draw_nuclei):
    picture = (draw_nuclei((96, 128), 20, seed=6, gap=0)[0] / np.float32(255))[..., None]
    found = small_stardist.predict([picture], score_threshold=0.4)[0]
    labels, details = small_stardist._stardist.predict_instances(
        picture, prob_thresh=0.4, nms_thresh=small_stardist.thresholds["nms"], predict_kwargs={"b": 0}
    )
    assert len(found) > 15
    assert same_nuclei(found.labels, labels)
    np.testing.assert_allclose(found.scores, np.sort(details["prob"])[::-1], rtol=1e-5)


def test_it_finds_nuclei(small_stardist, draw_nuclei):
    picture, labels = draw_nuclei((100, 140), 20, seed=7)
    found = small_stardist.predict([(picture / np.float32(255))[..., None]])[0]
    assert matching(labels, found.labels, thresh=0.5).f1 > 0.8


def test_labels_have_no_gaps_and_scores_fall(small_stardist, image):
    found = small_stardist.predict([image], score_threshold=0.05)[0]
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
    everything = small_stardist.predict([image], score_threshold=0.05)[0]
    for threshold in [0.05, 0.3, 0.5, 0.77, 1.0, float(everything.scores[3]), float(np.median(everything.scores))]:
        found = small_stardist.predict([image], score_threshold=threshold)[0]
        expected = everything.above(threshold)
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_array_equal(found.scores, expected.scores)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 60), threshold=st.integers(0, 10))
def test_decoding_fewer_candidates_only_takes_nuclei_away(small_stardist, seed, n, threshold):
    rng = np.random.default_rng(seed)
    scores = np.sort(rng.integers(0, 11, n).astype(np.float32) / 10)[::-1]
    candidates = Candidates(
        rng.integers(0, 40, (n, 2)), np.repeat(rng.uniform(0.001, 8, (n, 1)), 16, 1).astype(np.float32), scores
    )
    keep = scores >= np.float32(threshold / 10)
    some = Candidates(candidates.points[keep], candidates.distances[keep], candidates.scores[keep])
    expected = small_stardist.decode(candidates, (40, 40)).above(threshold / 10)
    found = small_stardist.decode(some, (40, 40))
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(np.unique(np.append(found.labels, 0)), np.arange(len(found) + 1))


def test_a_hidden_nucleus_is_dropped(small_stardist):
    """Two circles around a dot: the dot survives suppression at threshold 1 and is wholly covered."""
    candidates = Candidates(
        np.array([[20, 12], [20, 28], [20, 12]]),
        np.array([[9.0] * 16, [9.0] * 16, [2.0] * 16], np.float32),
        np.array([0.9, 0.8, 0.7], np.float32),
    )
    found = small_stardist.decode(candidates, (40, 40), nms_threshold=1.0)
    np.testing.assert_array_equal(found.scores, np.array([0.9, 0.8], np.float32))
    assert found.labels[20, 12] == 1
    assert found.labels[20, 28] == 2
    assert found.labels.max() == 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2), (2, 200), (17, 1)])
def test_tiny_images_give_an_answer(small_stardist, shape):
    picture = np.random.default_rng(0).random((*shape, 1), np.float32)
    found = small_stardist.predict([picture])[0]
    assert found.labels.shape == shape
    assert len(found) == found.labels.max()


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 100.0])
@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (33, 70)])
def test_a_constant_image_has_no_nuclei(small_stardist, shape, value):
    found = small_stardist.predict([np.full((*shape, 1), value, np.float32)], score_threshold=0.0)[0]
    assert found.labels.shape == shape
    assert len(found) == 0
    assert not found.labels.any()


def test_images_of_different_sizes_in_their_order(small_stardist, image):
    images = [image, image[:40], image[:, :70]]
    together = small_stardist.predict(images)
    for picture, found in zip(images, together, strict=True):
        np.testing.assert_array_equal(found.labels, small_stardist.predict([picture])[0].labels)
    assert small_stardist.predict([]) == []


def test_tiles_do_not_show(small_stardist, image, monkeypatch):
    whole = small_stardist.propose(image, 0.1)
    sizes = []
    run = small_stardist._run
    monkeypatch.setattr(model_module, "_TILE", 4 * small_stardist.stride)
    monkeypatch.setattr(small_stardist, "_run", lambda tile: sizes.append(tile.shape) or run(tile))
    tiled = small_stardist.propose(image, 0.1)
    assert len(sizes) == 3 * 5
    assert max(max(size) for size in sizes) <= 4 * small_stardist.stride + 2 * small_stardist.halo

    def by_position(candidates):
        order = np.lexsort(candidates.points.T)
        return candidates.points[order], candidates.distances[order], candidates.scores[order]

    for expected, found in zip(by_position(whole), by_position(tiled), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [{"grid": 1}, {"grid": 2}, {"grid": 4, "unet_n_depth": 1}, {"unet_n_depth": 3, "unet_n_conv_per_depth": 1}],
)
def test_nothing_beyond_the_halo_changes_a_pixel(changes):
    """All weights are positive, so that every path through the network counts."""
    model = StarDist(StarDistConfig(in_channels=1, **{**SMALL, **changes}))
    for weight in model.network.weights:
        weight.assign(np.full(weight.shape, 0.05))
    side = 4 * model.halo
    blank = np.ones((1, side, side, 1), np.float32)
    changed = blank.copy()
    middle = side // 2
    changed[0, middle, middle] += 1000
    difference = np.abs(model._run(changed)[1].numpy() - model._run(blank)[1].numpy())[0, ..., 0] > 0
    reach = np.abs(np.argwhere(difference) * model.config.grid - middle).max()
    assert reach <= model.halo
    # No larger than needed either: what is too large costs time. Not every pixel's reach is the largest.
    assert reach > model.halo - 2 * model.stride


def test_stride_and_halo():
    model = StarDist(StarDistConfig(in_channels=3, n_rays=32, grid=2, unet_n_depth=3, unet_n_filter_base=4))
    assert (model.in_channels, model.stride, model.halo) == (3, 16, 112)


@pytest.mark.parametrize("loss", ["mae", "iou"])
def test_training_reduces_the_loss_of_an_rgb_model(draw_nuclei, loss):
    keras.utils.set_random_seed(0)
    model = StarDist(StarDistConfig(in_channels=3, train_dist_loss=loss, **SMALL))
    model.compile(keras.optimizers.Adam(3e-3))
    picture, labels = draw_nuclei((64, 64), 8, seed=8, modality="histology")
    x, targets = model.targets(picture / np.float32(255), labels)
    x, targets = x[None], tuple(target[None] for target in targets)
    losses = [float(model.keras_model.train_on_batch(x, targets)[0]) for _ in range(12)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert not model.keras_model.jit_compile


def test_tuned_thresholds_are_the_best_of_those_tried(small_stardist, draw_nuclei, tmp_path, caplog):
    small_stardist.save(tmp_path)
    model = StarDist.load(tmp_path)
    drawn = [draw_nuclei((80, 96), 12, seed=20 + number, gap=0) for number in range(4)]
    images = [(picture / np.float32(255))[..., None] for picture, _ in drawn]
    truths = [labels for _, labels in drawn]

    def value(score, nms):
        model.thresholds = {"score": score, "nms": nms}
        total = np.zeros(3)
        for threshold in (0.5, 0.6, 0.7, 0.8, 0.9):
            results = [matching(t, f.labels, threshold) for t, f in zip(truths, model.predict(images), strict=True)]
            counts = np.sum([(r.tp, r.fp, r.fn) for r in results], axis=0)
            total[0] += counts[0] / counts.sum() / 5
        return total[0]

    with caplog.at_level(logging.INFO):
        tuned = dict(model.tune(images, truths))
    assert tuned == model.thresholds
    best = value(**tuned)
    assert f"ap_mean_50_90 = {best:.4f}" in caplog.text
    assert all(value(score, nms) <= best + 1e-9 for score in (0.2, 0.4, 0.5, 0.6, 0.8) for nms in (0.3, 0.4, 0.5))


def test_thresholds_stay_where_nothing_is_found(small_stardist, tmp_path, caplog):
    small_stardist.save(tmp_path)
    model = StarDist.load(tmp_path)
    before = dict(model.thresholds)
    assert model.tune([np.zeros((64, 64, 1), np.float32)], [np.ones((64, 64), np.int32)]) == before
    assert model.tune([], []) == before
    assert "No nucleus of the validation images was found" in caplog.text


def test_loading_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(ModelError, match=r"not a whole StarDist model.*dvc pull"):
        StarDist.load(tmp_path)


def test_the_drawing_of_the_fixture_is_what_it_says(draw_nuclei):
    """`same_nuclei` must be able to say no."""
    _, labels = draw_nuclei((64, 64), 5, seed=0)
    renumbered = (labels > 0) * (6 - labels)
    assert same_nuclei(labels, renumbered)
    assert not same_nuclei(labels, relabel_sequential(np.where(labels == 2, 1, labels))[0])
    assert not same_nuclei(labels, np.roll(labels, 1, 0))
