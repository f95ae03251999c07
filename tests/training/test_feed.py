import numpy as np
import pytest

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig
from nucseg.images.preprocessing import Preprocessor
from nucseg.images.transforms import Normalize
from nucseg.training.feed import PatchFeed, sampling_probabilities, validation_arrays


@pytest.fixture
def make_feed(drawn, samples):
    def make(**options):
        config = drawn.SMALL.model_copy(update=options)
        augmenter = Augmenter.from_config(AugmentationConfig())
        return PatchFeed(samples, drawn.ForegroundNet(), Preprocessor((Normalize(),), 1), augmenter, config)

    return make


def test_dataset_gives_the_items_in_order_from_any_epoch(make_feed):
    feed, other = make_feed(workers=3), make_feed(workers=1)
    batches = list(feed.dataset(3).as_numpy_iterator())
    assert len(batches) == 2 * 6
    for number, (x, (target,)) in enumerate(batches):
        assert x.shape == (2, 32, 32, 1)
        assert x.dtype == target.dtype == np.float32
        for place in range(2):
            epoch, item = divmod(number * 2 + place, 12)
            image, (truth,) = other.item(3 + epoch, item)
            np.testing.assert_array_equal(x[place], image)
            np.testing.assert_array_equal(target[place], truth)


def test_items_differ_by_seed_epoch_and_place(make_feed):
    feed = make_feed()
    reference = feed.item(0, 0)[0]
    for other in (feed.item(0, 1), feed.item(1, 0), make_feed(seed=7).item(0, 0)):
        assert not np.array_equal(reference, other[0])


def test_an_error_in_a_thread_is_kept(make_feed):
    feed = make_feed()
    dataset = feed.dataset(0)
    feed._segmenter.targets = None
    with pytest.raises(Exception, match="NoneType"):
        list(dataset)
    assert isinstance(feed.error, TypeError)


def test_probabilities(drawn, samples):
    config = drawn.SMALL
    np.testing.assert_allclose(sampling_probabilities(samples, config), 0.25)
    balanced = config.model_copy(update={"balance": "modality"})
    np.testing.assert_allclose(sampling_probabilities(samples, balanced), [1 / 6, 1 / 2, 1 / 6, 1 / 6])
    weighted = balanced.model_copy(update={"modality_weights": {"histology": 0.5, "brightfield": 9.0}})
    np.testing.assert_allclose(sampling_probabilities(samples, weighted), [2 / 9, 1 / 3, 2 / 9, 2 / 9])


def test_validation_is_fixed_and_the_images_take_turns(drawn, samples):
    config = drawn.SMALL.model_copy(update={"validation_patches": 9})
    first, again = (
        validation_arrays(samples, drawn.ForegroundNet(), Preprocessor((Normalize(),), 1), config) for _ in range(2)
    )
    assert first[0].shape == first[1][0].shape == (9, 32, 32, 1)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1][0], again[1][0])
    assert len(np.unique(first[0].reshape(9, -1), axis=0)) > 4


def test_some_patches_are_background(make_feed):
    feed = make_feed(background_probability=0.3, foreground_probability=1.0)
    empty = [not feed.item(0, place)[1][0].any() for place in range(200)]
    assert 0.2 < np.mean(empty) < 0.4
