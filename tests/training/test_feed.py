import numpy as np
import pytest

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig
from nucseg.images.preprocessing import Preprocessor
from nucseg.images.transforms import Normalize
from nucseg.training.config import SamplingConfig
from nucseg.training.feed import PatchFeed, validation_arrays
from nucseg.training.patches import PatchSource


def source(samples, sampling):
    augmenter = Augmenter.from_config(AugmentationConfig())
    return PatchSource(samples, Preprocessor((Normalize(),), 1), augmenter, 32, 100, sampling)


@pytest.fixture
def make_feed(drawn, samples):
    def make(**options):
        config = drawn.SMALL.model_copy(update=options)
        return PatchFeed(source(samples, SamplingConfig()), drawn.ForegroundNet(), config)

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
    feed._model.targets = None
    with pytest.raises(Exception, match="NoneType"):
        list(dataset)
    assert isinstance(feed.error, TypeError)


def test_validation_is_fixed_and_the_images_take_turns(drawn, samples):
    config = drawn.SMALL.model_copy(update={"validation_patches": 9})
    plain = PatchSource(samples, Preprocessor((Normalize(),), 1), None, 32, cache_mb=1)
    first, again = (validation_arrays(plain, drawn.ForegroundNet(), config) for _ in range(2))
    assert first[0].shape == first[1][0].shape == (9, 32, 32, 1)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1][0], again[1][0])
    assert len(np.unique(first[0].reshape(9, -1), axis=0)) > 4


def test_a_feed_takes_any_source_of_patches(drawn):
    """Of a task of its own: the truth is what the model's targets understand."""

    class Patches:
        def __len__(self):
            return 1

        def draw(self, rng):
            return np.full((4, 4, 1), rng.random(), np.float32), {"class": 3}

        anywhere = lambda self, index, rng: self.draw(rng)  # noqa: E731

    class Classifier:
        def targets(self, patch, truth):
            return patch, (np.float32([truth["class"]]),)

    ((x, (y,)),) = PatchFeed(Patches(), Classifier(), drawn.SMALL.model_copy(update={"epochs": 1})).dataset(0).take(1)
    assert x.shape == (2, 4, 4, 1)
    assert y.numpy().tolist() == [[3.0], [3.0]]
    assert validation_arrays(Patches(), Classifier(), drawn.SMALL)[1][0].shape == (3, 1)
