import numpy as np
import pytest
from scipy.ndimage import label
from skimage.draw import disk

from fake_segmenter import FakeSegmenter
from nucseg.core.errors import InputError
from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.images.source import array_source
from nucseg.images.transforms import Normalize
from nucseg.inference.engine import LocalEngine
from nucseg.inference.instances.stored import load_nuclei, save_nuclei
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.inference.tiled import predict_tiled
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.models.run import RunParameters, RunRecord

PLAIN = (Normalize(pmin=0, pmax=100, min_range=1),)


@pytest.fixture(autouse=True)
def _precision_as_before():
    yield
    use_precision("float32")


def predictor(segmenter, *, scale=1.0):
    return Predictor(ModelBundle("fake", segmenter, PLAIN), PredictOptions(scale=scale, precision="float32"))


def tiled(one, image, **options):
    return predict_tiled(one.job(array_source(image), one.options.changed(**options)), LocalEngine())


def same_nuclei(first, second):
    pairs = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1)
    one_to_one = len(pairs[0]) == len(np.unique(first)) == len(np.unique(second))
    return one_to_one and ((pairs[0] == 0) == (pairs[1] == 0)).all()


@pytest.mark.parametrize("tile", [64, 72, 96, None])
@pytest.mark.parametrize("halo", [24, 32])
def test_tiles_of_any_segmenter_do_not_show(draw_nuclei, bright, tile, halo):
    image, labels = draw_nuclei((150, 210), 30, seed=2, noise=0, gap=5)
    found = tiled(predictor(bright(halo)), image, tile=tile)
    whole = predictor(bright(halo)).predict(image)
    assert len(found) == 30
    assert same_nuclei(found.instances().labels, whole.labels)
    assert same_nuclei(found.instances().labels > 0, whole.labels > 0)
    groups = list(found.blocks())
    assert sum(len(group.scores) for group in groups) == 30
    joined = np.zeros_like(labels)
    for group in groups:
        part = joined[group.window.slices]
        np.copyto(part, group.labels + group.first - 1, where=group.labels > 0)
    np.testing.assert_array_equal(joined, found.instances().labels)


def test_nuclei_wider_than_a_tile_come_out_whole(bright):
    image = np.zeros((300, 420), np.uint8)
    rows, columns = np.ogrid[:300, :420]
    image[(rows - 150) ** 2 + (columns - 130) ** 2 < 110**2] = 200
    image[(rows - 140) ** 2 + (columns - 330) ** 2 < 60**2] = 200
    image[10:20, 400:410] = 200
    found = tiled(predictor(bright(112)), image, tile=64).instances()
    assert len(found) == 3
    assert same_nuclei(found.labels, predictor(bright(112)).predict(image).labels)


def test_the_numbers_of_an_image_of_one_tile_are_those_of_the_predictor(small_stardist, draw_nuclei):
    image = draw_nuclei((90, 133), 16, seed=1)[0]
    one = predictor(small_stardist)
    expected = one.predict(image)
    found = tiled(one, image).instances()
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("scale", [1.0, 0.8])
@pytest.mark.parametrize("score_threshold", [None, 0.1])
def test_tiles_of_stardist_do_not_show(small_stardist, draw_nuclei, scale, score_threshold):
    image = draw_nuclei((300, 260), 130, seed=4, gap=0)[0]
    one = predictor(small_stardist, scale=scale)
    expected = one.predict(image, one.options.changed(score_threshold=score_threshold))
    found = tiled(one, image, tile=64, score_threshold=score_threshold).instances()
    assert len(expected) > 80
    assert same_nuclei(found.labels, expected.labels)
    # The convolutions of some processors round the last bit by the size of what they are given.
    np.testing.assert_allclose(np.sort(found.scores), np.sort(expected.scores), rtol=1e-6)


def test_batches_of_tiles_give_the_same_nuclei(small_stardist, draw_nuclei, monkeypatch):
    image = draw_nuclei((300, 260), 130, seed=4, gap=0)[0]
    one = predictor(small_stardist)
    job = one.job(array_source(image), one.options.changed(tile=64))
    expected = predict_tiled(job, LocalEngine(batch=1)).instances()
    batches = []
    propose = small_stardist.propose
    monkeypatch.setattr(small_stardist, "propose", lambda *given: batches.append(len(given[0])) or propose(*given))
    found = predict_tiled(job, LocalEngine(batch=4)).instances()
    assert set(batches[:-1]) == {4}
    assert same_nuclei(found.labels, expected.labels)


def test_only_the_tiles_that_are_missing_are_predicted(small_stardist, draw_nuclei):
    image = draw_nuclei((260, 260), 80, seed=5)[0]
    one = predictor(small_stardist)
    job = one.job(array_source(image), one.options.changed(tile=64))
    engine = LocalEngine()
    everything = dict(engine.parts(job))
    assert sorted(everything) == list(job.grid)
    last = len(job.grid) - 1
    (found,) = engine.parts(job, set(job.grid) - {last})
    assert found[0] == last
    assert found[1].window == everything[last].window
    np.testing.assert_array_equal(found[1].values, everything[last].values)


def test_a_blank_image_has_no_nuclei(small_stardist):
    found = tiled(predictor(small_stardist), np.zeros((200, 100), np.uint16), tile=64)
    assert len(found) == 0
    assert not found.labels(Window(0, 0, 200, 100)).any()


def test_an_image_that_cannot_be_read_is_named(bright):
    broken = array_source(np.ones((9, 9), np.float32), "slide 3")
    object.__setattr__(broken, "read", lambda window: (_ for _ in ()).throw(OSError("gone")))
    with pytest.raises(InputError, match=r"slide 3.*gone"):
        predictor(bright(8)).job(broken)


@pytest.mark.parametrize("score_threshold", [None, 0.2, 0.995])
def test_the_search_for_the_scale_is_the_prediction_where_it_saw_the_whole_image(draw_nuclei, bright, score_threshold):
    image = draw_nuclei((150, 210), 30, seed=2, noise=0, gap=5)[0]
    one = predictor(bright(), scale="auto")
    job = one.job(array_source(image), one.options.changed(score_threshold=score_threshold))
    looked = len(one.bundle.model.seen)
    found = predict_tiled(job, LocalEngine()).instances()
    assert len(one.bundle.model.seen) == looked > 0
    shapes = [seen.shape for seen in one.bundle.model.seen]
    assert len(shapes) == len(set(shapes))
    expected = tiled(predictor(bright()), image, score_threshold=score_threshold).instances()
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(
        found.labels, one.predict(image, one.options.changed(score_threshold=score_threshold)).labels
    )


def nearsighted(image):
    """Find bright discs up to 60 pixels wide."""
    labels = label(image[..., 0] > 0.5)[0]
    areas = np.bincount(labels.ravel(), minlength=2)
    areas[0] = 0
    known = (areas > 20) & (areas < np.pi * 30**2)
    numbers = np.where(known, np.cumsum(known), 0).astype(np.int32)
    return Instances(numbers[labels], (0.6 + 0.3 / np.maximum(areas[known], 1)).astype(np.float32))


@pytest.mark.parametrize("shape", [(900, 1000), (1300, 2500)])
@pytest.mark.parametrize("options", [{}, {"tile": 352}, {"score_threshold": 0.05}, {"score_threshold": 0.6005}])
def test_large_nuclei_beside_small_ones_are_found_in_tiles_too(shape, options, tmp_path):
    image = np.zeros(shape, np.uint8)
    small = [(row, column) for row in range(30, shape[0] - 20, 70) for column in range(30, shape[1] - 20, 70)]
    large = [(row, column) for row in (300, 600) for column in range(300, shape[1] - 200, 250)]
    for centre in small:
        if min(np.hypot(*np.subtract(centre, each)) for each in large) > 80:
            image[disk(centre, 12)] = 200
    for centre in large:
        image[disk(centre, 50)] = 200
    run = RunRecord(parameters=RunParameters(training={}, sampling={"diameters": [8, 120]}))
    segmenter = FakeSegmenter(nearsighted, halo=64, stride=16, max_side=1152)
    one = Predictor(ModelBundle("fake", segmenter, PLAIN, run), PredictOptions(precision="float32"))
    truth, count = label(image)
    given = tiled(one, image, **options)
    found = given.instances()
    save_nuclei(tmp_path / "nuclei.npz", given, {})
    np.testing.assert_array_equal(load_nuclei(tmp_path / "nuclei.npz").instances().labels, found.labels)
    if options.get("score_threshold", 0) > 0.6:  # the larger of them have less
        assert 0 < len(found) < count
    else:
        assert len(found) == count
        assert (np.count_nonzero((found.labels > 0) != (truth > 0)) / np.count_nonzero(truth)) < 0.02
    assert same_nuclei(found.labels, tiled(one, image, **{**options, "tile": None}).instances().labels)
