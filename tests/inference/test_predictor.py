import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import label
from skimage.draw import disk
from stardist.matching import matching

from fake_segmenter import FakeSegmenter
from nucseg.core.errors import InputError, ModelError
from nucseg.core.types import Instances
from nucseg.images.io import write_image, write_labels
from nucseg.images.source import array_source
from nucseg.images.transforms import Normalize, Rescale, ToGrayscale
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.models.run import RunRecord
from nucseg.training.config import TrainingConfig
from nucseg.training.feed import PatchFeed
from nucseg.training.patches import PatchSource

# The small model was trained on drawn images divided by 255, of 20 to about 180: this undoes what normalisation does.
PLAIN = (Normalize(pmin=0, pmax=100, min_range=1),)


@pytest.fixture(autouse=True)
def _precision_as_before():
    yield
    use_precision("float32")


@pytest.fixture(scope="module")
def bundle(small_stardist):
    return ModelBundle("small", small_stardist, PLAIN)


@pytest.fixture(scope="module")
def drawn(draw_nuclei):
    return draw_nuclei((90, 133), 16, seed=1)


def levels(image):
    """Take each level of the input for a nucleus: what comes back shows where it went."""
    found, labels = np.unique(image[..., 0], return_inverse=True)
    scores = np.linspace(1, 0.1, len(found) - 1, dtype=np.float32) if len(found) > 1 else np.zeros(0, np.float32)
    return Instances(labels.reshape(image.shape[:2]).astype(np.int32), scores)


def echo(*transforms, scale=1.0):
    return Predictor(
        ModelBundle("echo", FakeSegmenter(levels), transforms), PredictOptions(scale=scale, precision="float32")
    )


def test_it_finds_nuclei_in_the_frame_of_the_image(bundle, drawn):
    image, labels = drawn
    found = Predictor(bundle).predict(image)
    assert found.labels.shape == labels.shape
    assert matching(labels, found.labels, thresh=0.5).f1 > 0.8


def test_a_higher_threshold_only_takes_nuclei_away(bundle, drawn):
    for scale in (0.8, 1.0):
        predictor = Predictor(bundle, PredictOptions(scale=scale))
        candidates = predictor.predict(drawn[0], predictor.options.changed(score_threshold=0.05))
        for threshold in (None, 0.2, float(np.median(candidates.scores))):
            found = predictor.predict(drawn[0], predictor.options.changed(score_threshold=threshold))
            expected = candidates.above(predictor.score_threshold if threshold is None else threshold)
            np.testing.assert_array_equal(found.labels, expected.labels)
            np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_large_and_small_nuclei_are_found_at_the_right_scale(bundle, draw_nuclei, scale):
    """Nuclei of twice, or half, the size that the model knows, at half, or twice, the scale."""
    radius = (5 / scale, 9 / scale)
    image, labels = draw_nuclei((int(100 / scale), int(140 / scale)), 12, seed=3, radius=radius)
    found = Predictor(bundle, PredictOptions(scale=scale)).predict(image)
    assert found.labels.shape == labels.shape
    assert matching(labels, found.labels, thresh=0.5).f1 > 0.8


@pytest.mark.parametrize("factor,scale", [(0.5, 1.0), (1.0, 0.5), (0.25, 2.0)])
def test_scale_and_rescale_multiply_and_are_undone(factor, scale):
    blocks = np.kron(np.arange(12).reshape(3, 4), np.ones((8, 8))).astype(np.uint8) * 20
    predictor = echo(Rescale(factor=factor), scale=scale)
    found = predictor.predict(blocks, predictor.options.changed(score_threshold=0.05))
    assert predictor.bundle.model.seen[-1].shape == (12, 16, 1)
    if scale <= 1:  # enlarging blurs the borders of the blocks
        np.testing.assert_array_equal(found.labels, blocks // 20)


def test_a_nucleus_that_vanishes_on_the_way_back_is_dropped():
    image = np.zeros((4, 4), np.uint8)
    image[0, 0], image[2:, 2:] = 100, 200
    predictor = echo(scale=3.0)
    found = predictor.predict(image, predictor.options.changed(score_threshold=0.05))
    np.testing.assert_array_equal(np.unique(found.labels), np.arange(len(found) + 1))
    # Enlarging interpolates: more levels than there are pixels to come back to.
    seen = len(np.unique(predictor.bundle.model.seen[-1])) - 1
    assert len(found) < seen
    assert len(found) == found.labels.max()


def test_the_magnification_reaches_the_transforms():
    predictor = echo(Rescale(magnification=20))
    for magnification in (40, None):
        predictor.predict(np.zeros((40, 60), np.uint8), predictor.options.changed(magnification=magnification))
    assert [image.shape for image in predictor.bundle.model.seen] == [(20, 30, 1), (40, 60, 1)]


def test_what_the_user_should_know_is_logged_once(caplog):
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 2] = np.arange(64)[:, None] + np.arange(64)
    predictor = echo()
    predictor.predict(image, name="a")
    predictor.predict_source(array_source(image, "b"))
    for name in "ab":
        assert caplog.text.count(f"{name}: one stain in false colour (blue)") == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, bool, np.float32, np.float64])
@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_any_image_is_taken_and_not_changed(bundle, dtype, channels):
    image = (np.random.default_rng(0).random((33, 41, *channels)) * 200).astype(dtype)
    before = image.copy()
    found = Predictor(bundle).predict(image)
    assert found.labels.shape == (33, 41)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (2, 3), (64, 64)])
@pytest.mark.parametrize("value", [0, 17, 255])
def test_a_constant_image_has_no_nuclei(bundle, shape, value):
    for transforms in (PLAIN, (Normalize(),)):
        predictor = Predictor(ModelBundle("small", bundle.model, transforms))
        found = predictor.predict(np.full(shape, value, np.uint8), predictor.options.changed(score_threshold=0.05))
        assert found.labels.shape == shape
        assert len(found) == 0


@pytest.mark.parametrize(
    "image", [np.zeros((2, 3, 4, 5)), np.zeros((0, 4)), np.full((4, 4), np.nan), np.zeros((4, 4, 2))]
)
def test_what_is_no_image_is_refused_by_name(bundle, image):
    with pytest.raises(InputError, match="slide 7"):
        Predictor(bundle).predict(image, name="slide 7")


def test_loading_by_name(bundle, drawn, tmp_path, monkeypatch):
    bundle.save(tmp_path / "small")
    monkeypatch.setenv("NUCSEG_MODELS", str(tmp_path))
    predictor = Predictor.load("small", PredictOptions(precision="float32"))
    assert predictor.precision == "float32"
    assert predictor.score_threshold == bundle.model.thresholds["score"]
    expected = Predictor(bundle, PredictOptions(precision="float32")).predict(drawn[0])
    np.testing.assert_array_equal(predictor.predict(drawn[0]).labels, expected.labels)
    with pytest.raises(ModelError, match="'large'"):
        Predictor.load("large")


@pytest.mark.parametrize("modality", ["fluorescence", "histology"])
@pytest.mark.parametrize(
    "transforms",
    [
        (Normalize(),),
        (Normalize(axis="channel", min_range=0.1),),
        (ToGrayscale(), Normalize(pmin=0.1, pmax=99)),
        (Rescale(magnification=40), Normalize()),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_training_feed_gives_the_same_array(
    bundle, draw_nuclei, make_sample, tmp_path, modality, transforms, dtype
):
    """Each patch of the feed, without augmentation, is a crop of what the Predictor gives the network."""
    image, labels = draw_nuclei((90, 100), 12, seed=2, modality=modality)
    image = image.astype(dtype) * (257 if dtype == np.uint16 else 1)
    paths = tmp_path / "image.tif", tmp_path / "labels.tif"
    write_image(paths[0], image)
    write_labels(paths[1], labels)
    facts = {"height": 90, "width": 100, "channels": 1 if image.ndim == 2 else 3, "n_nuclei": 12}
    sample = make_sample(*paths, split="train", magnification=40.0, **facts)
    bundle = ModelBundle("small", bundle.model, transforms)
    whole = bundle.preprocessor().fit(image, 40.0).image(image)
    crops = sliding_window_view(whole[..., 0], (64, 64))
    config = TrainingConfig(patch_size=64, batch_size=2, steps_per_epoch=2)
    feed = PatchFeed(PatchSource([sample], bundle.preprocessor(), None, 64, 100), bundle.model, config)
    places = set()
    for place in range(4):
        x, _ = feed.item(0, place)
        found = np.argwhere((crops[:, :, 0, :] == x[0, :, 0]).all(-1))
        assert any(np.array_equal(crops[y, x_][..., None], x) for y, x_ in found)
        places.update(map(tuple, found))
    assert len(places) > 1


def nearsighted(image):
    """Find what is bright and at most 70 pixels wide, less surely the smaller it is."""
    labels, n_found = label(image[..., 0] > 0.5)
    widths = 2 * np.sqrt(np.bincount(labels.ravel(), minlength=n_found + 1)[1:] / np.pi)
    seen = widths <= 70
    numbers = np.concatenate([[0], np.where(seen, np.cumsum(seen), 0)]).astype(np.int32)
    return Instances(numbers[labels], (widths[seen] / 70).astype(np.float32))


@pytest.mark.parametrize("side", [600, 2400])  # looked at as a whole, and through windows
def test_large_nuclei_are_found_without_a_hint(side):
    image, truth = np.zeros((side, side), np.uint8), np.zeros((side, side), np.int32)
    for number, row in enumerate(range(100, side, 200)):
        for column, diameter in zip(range(100, side, 200), (100, 110, 130) * 4, strict=False):
            place = disk((row, column), diameter / 2)
            image[place], truth[place] = 200, 1 + number * (side // 200) + column // 200
    model = ModelBundle("nearsighted", FakeSegmenter(nearsighted), PLAIN)
    found = Predictor(model, PredictOptions(precision="float32")).predict(image)
    assert matching(truth, found.labels, thresh=0.9).f1 == 1
    small_too = Predictor(model, PredictOptions(precision="float32", score_threshold=0.05)).predict(image)
    assert matching(truth, small_too.labels, thresh=0.9).f1 == 1
    np.testing.assert_array_equal(small_too.above(0.5).labels, found.labels)
    fixed = Predictor(model, PredictOptions(scale=1.0, precision="float32", score_threshold=0.05)).predict(image)
    assert matching(truth, fixed.labels, thresh=0.5).recall == 0


def trained_on(find, **sampling):
    """A segmenter made of a function whose record says how its training resized nuclei."""
    return ModelBundle("trained", FakeSegmenter(find), PLAIN, RunRecord(parameters={"sampling": sampling}))


def draw_discs(shape, discs):
    """Draw discs `(row, column, diameter)`."""
    image, truth = np.zeros(shape, np.uint8), np.zeros(shape, np.int32)
    for number, (row, column, diameter) in enumerate(discs, start=1):
        place = disk((row, column), diameter / 2, shape=shape)
        image[place], truth[place] = 200, number
    return image, truth


SMALL = [(row, column, 16) for row in range(20, 500, 60) for column in range(20, 260, 30)]


@pytest.mark.parametrize("large", [[], [(256, 400, 100)]])
def test_small_nuclei_are_enlarged_as_in_the_training_unless_large_ones_would_be_lost(large):
    """The fake finds what is at most 70 pixels wide: a nucleus of 100 pixels at half the size."""
    image, truth = draw_discs((512, 512), SMALL + large)
    bundle = trained_on(nearsighted, diameters=[8.0, 120.0], enlarge=[20.0, 24.0])
    bundle.model.thresholds = {"score": 0.1}
    found = Predictor(bundle, PredictOptions(precision="float32")).predict(image)
    assert matching(truth, found.labels, thresh=0.8).f1 == 1
    assert bundle.model.seen[-1].shape[0] == (256 if large else 768)


@pytest.mark.parametrize("scale, expected", [(1.0, 1), (2.0, 1), (3.0, 2), (0.5, 1)])
def test_the_smallest_area_counts_pixels_of_an_enlarged_image_up_to_twice(scale, expected):
    """A nucleus of 20 x 20 pixels and a speck of 4 x 4, which has 144 of the network's at scale 3."""
    image = np.zeros((60, 60), np.uint8)
    image[10:30, 10:30] = image[50:54, 50:54] = 200
    bundle = trained_on(nearsighted)
    bundle.model.thresholds = {"score": 0.01, "area": 30.0}
    assert len(Predictor(bundle, PredictOptions(precision="float32", scale=scale)).predict(image)) == expected


def test_no_pixel_passes_through_the_network_twice(draw_nuclei):
    """The scale of an image of one window is found on the image itself: what was proposed there is the answer."""
    image = draw_nuclei((600, 520), 40, seed=1)[0]
    for segmenter, scale in ((FakeSegmenter(nearsighted), 1.0), (FakeSegmenter(levels), 1.0)):
        Predictor(ModelBundle("fake", segmenter, PLAIN), PredictOptions(precision="float32")).predict(image)
        shapes = [seen.shape[:2] for seen in segmenter.seen]
        assert shapes.count((600, 520)) == scale
        assert len(set(shapes)) == len(shapes)


def test_the_nuclei_of_several_tiles_come_in_the_order_of_falling_score(bright, draw_nuclei):
    image = draw_nuclei((300, 260), 60, seed=4)[0]
    segmenter = bright(halo=16)
    segmenter.max_side = 128
    found = Predictor(ModelBundle("fake", segmenter, PLAIN), PredictOptions(scale=1.0, precision="float32")).predict(
        image
    )
    assert len(segmenter.seen) > 4
    assert (np.diff(found.scores) <= 0).all()
    whole = Predictor(ModelBundle("fake", bright(), PLAIN), PredictOptions(scale=1.0, precision="float32")).predict(
        image
    )
    np.testing.assert_array_equal(found.labels > 0, whole.labels > 0)
    np.testing.assert_array_equal(found.scores, whole.scores)


class StopError(Exception):
    """Nobody wants the image any more."""


def test_whoever_is_told_of_progress_can_end_it_before_the_next_tile_is_read(bright, draw_nuclei) -> None:
    image = draw_nuclei((512, 2048), 40, seed=1)[0]
    bundle = ModelBundle("fake", bright(), (Normalize(pmin=0, pmax=100, min_range=1),))
    predictor = Predictor(bundle, PredictOptions(scale=1.0, precision="float32"))
    told: list[float] = []
    predictor.predict_source(array_source(image), progress=told.append)
    assert (min(told), max(told)) == (0.0, 1.0)
    for calls in (1, len(told) // 2):

        def stop(_: float, left: list[int] = [calls]) -> None:  # noqa: B006 - one a loop
            left[0] -= 1
            if left[0] <= 0:
                raise StopError

        with pytest.raises(StopError):
            predictor.predict_source(array_source(image), progress=stop)


@pytest.mark.parametrize("tile", [None, 64])
def test_the_smallest_area_is_the_same_in_tiles_where_the_preprocessing_enlarges(tile):
    """101 pixels become 126, a factor of 1.2475; a nucleus of 36 pixels of the network is less than 25 x 1.25 ** 2."""

    def find(image):
        labels = np.zeros(image.shape[:2], np.int32)
        labels[10:16, 10:16] = 1
        return Instances(labels, np.ones(1, np.float32))

    model = FakeSegmenter(find)
    model.thresholds = {"score": 0.5, "area": 25.0}
    options = PredictOptions(precision="float32", scale="auto" if tile is None else 1.0, tile=tile)
    image = np.random.default_rng(0).integers(0, 255, (101, 101), np.uint8)
    found = Predictor(ModelBundle("fake", model, (Rescale(factor=1.25),)), options).predict(image)
    assert len(found) == 0
