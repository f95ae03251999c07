import copy
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import numpy as np
import pytest
from skimage.color import hed2rgb, rgb2hed

from nucseg.augment import config as c
from nucseg.augment.augmenter import Augmenter
from nucseg.core.errors import ConfigError

EVERY_TRANSFORM = [
    c.Affine,
    c.Flip,
    c.Rotate90,
    c.Elastic,
    c.HEStain,
    c.Hematoxylin,
    c.HueSaturation,
    c.ToGray,
    c.ChannelShuffle,
    c.Invert,
    c.BrightnessContrast,
    c.Gamma,
    c.Illumination,
    c.Blur,
    c.Noise,
    c.ShotNoise,
]


def augmenter(*transforms):
    return Augmenter.from_config(c.AugmentationConfig(transforms=transforms))


@pytest.mark.parametrize("transform", EVERY_TRANSFORM)
@pytest.mark.parametrize("kind", ["grey uint8", "grey uint16", "grey float32", "rgb uint8", "black", "flat"])
def test_every_transform_takes_every_image(draw_nuclei, transform, kind):
    modality = "histology" if kind == "rgb uint8" else "fluorescence"
    image, labels = draw_nuclei((96, 96), 6, modality=modality)
    before = image
    if kind == "grey uint16":
        image = image.astype(np.uint16) * 20
    elif kind == "grey float32":
        image = image.astype(np.float32) / 255
    elif kind == "black":
        image = np.zeros_like(image)
    elif kind == "flat":
        image = np.full_like(image, 99)
    untouched = image.copy(), labels.copy()
    changed = augmenter(transform(p=1))
    for seed in range(3):
        new, new_labels = changed(image, labels, seed, value_range=(0.0, float(image.max() / 255) or 1.0))
        assert new.dtype == np.float32
        assert new_labels.dtype == np.int32
        assert new.shape == before.shape
        assert new_labels.shape == (96, 96)
        assert np.isfinite(new).all()
        assert new.min() >= 0
        assert new.max() <= 1
        assert set(np.unique(new_labels)) <= set(range(labels.max() + 1))
    np.testing.assert_array_equal(image, untouched[0])
    np.testing.assert_array_equal(labels, untouched[1])


@pytest.mark.parametrize("transform", [t for t in EVERY_TRANSFORM if t.stage in ("colour", "intensity")])
def test_intensity_and_colour_leave_labels_and_do_something(draw_nuclei, transform):
    image, labels = draw_nuclei((96, 96), 6, modality="histology")
    new, new_labels = augmenter(transform(p=1))(image, labels, 1)
    np.testing.assert_array_equal(new_labels > 0, labels > 0)
    assert np.abs(new - image / 255).max() > 0.01


@pytest.mark.parametrize("transform", [t for t in EVERY_TRANSFORM if t.stage == "colour"])
def test_colour_is_skipped_on_grey(draw_nuclei, transform):
    image, labels = draw_nuclei((64, 64), 4)
    new, _ = augmenter(transform(p=1))(image, labels, 1)
    np.testing.assert_array_equal(new, image.astype(np.float32) / 255)


def test_hematoxylin_shows_what_a_prediction_on_that_channel_sees(draw_nuclei):
    image, labels = draw_nuclei((64, 64), 4, modality="histology")
    alone = rgb2hed(np.maximum(image, 1))  # black would absorb without limit
    alone[..., 1:] = 0
    new, _ = augmenter(c.Hematoxylin(p=1))(image, labels, 1)
    np.testing.assert_allclose(new, hed2rgb(alone), atol=1e-3)


def test_same_seed_same_result_another_seed_another(draw_nuclei):
    image, labels = draw_nuclei((96, 96), 6, modality="histology")
    full = Augmenter.from_config(c.AugmentationConfig())
    first, again, other = (full(image, labels, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_threads_give_what_one_thread_gives(draw_nuclei):
    image, labels = draw_nuclei((96, 96), 6, modality="histology")
    full = Augmenter.from_config(c.AugmentationConfig())
    expected = [full(image, labels, seed)[0] for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda seed: full(image, labels, seed)[0], range(40)))
    np.testing.assert_array_equal(got, expected)


def test_threads_that_end_leave_their_copy_to_the_next(draw_nuclei, monkeypatch):
    """To copy a pipeline takes longer than to run it, and TensorFlow's threads are new ones at each call."""
    image, labels = draw_nuclei((96, 96), 6)
    full, copies = Augmenter.from_config(c.AugmentationConfig()), []
    original = copy.deepcopy
    monkeypatch.setattr(
        "nucseg.augment.augmenter.copy.deepcopy", lambda *given: copies.append(given) or original(*given)
    )
    for seed in range(3):
        thread = Thread(target=full, args=(image, labels, seed))
        thread.start()
        thread.join()
    assert sum(len(given) == 1 for given in copies) == 1  # those of parts come with a memo


def test_serialised_and_back_it_is_the_same(draw_nuclei):
    image, labels = draw_nuclei((96, 96), 6, modality="histology")
    transforms = (*c.AugmentationConfig().transforms, c.Hematoxylin())
    full = augmenter(*transforms)
    again = Augmenter.from_dict(json.loads(json.dumps(full.to_dict())))
    assert again.to_dict() == full.to_dict()
    assert again.reach == full.reach
    for seed in range(5):
        one, two = full(image, labels, seed, size=(32, 32)), again(image, labels, seed, size=(32, 32))
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])


@pytest.mark.parametrize("wrong", [{}, {"stages": {}}, {"stages": {"affine": {"transform": 3}}}])
def test_a_definition_of_something_else_is_refused(wrong):
    with pytest.raises(ConfigError, match="data_augmentations"):
        Augmenter.from_dict(wrong)


def test_labels_follow_the_image_and_are_never_interpolated():
    # Each nucleus has its own grey value: wherever it is moved to, its label must be there too.
    labels = np.zeros((120, 120), np.int32)
    labels[10:40, 15:50], labels[60:100, 20:60], labels[30:90, 75:110] = 1, 2, 3
    image = (labels * 80).astype(np.uint8)
    moved = augmenter(c.Affine(p=1), c.Flip(p=1), c.Rotate90(p=1), c.Elastic(p=1))
    for seed in range(10):
        new, new_labels = moved(image, labels, seed)
        for number in range(1, new_labels.max() + 1):
            values = new[new_labels == number] * 255
            if values.size > 100:
                grey = np.median(values)
                assert min(abs(grey - true) for true in (80, 160, 240)) <= 1
                assert (np.abs(values - grey) <= 1).mean() > 0.6  # all but the seam, which is interpolated


def test_the_window_shows_the_context_not_black_corners():
    # Within `reach` every pixel of the patch comes from the source, however it is turned and shrunk.
    only = augmenter(c.Affine(p=1, scale=(0.5, 2.0), rotate=(-180, 180), shear=5))
    size = 64
    source = np.full((int(np.ceil(size * only.reach)),) * 2, 200, np.uint8)
    source[0], source[-1], source[:, 0], source[:, -1] = 0, 0, 0, 0  # would be mirrored in, if it were reached
    for seed in range(50):
        new, _ = only(source, np.zeros_like(source, np.int32), seed, size=(size, size))
        assert new.shape == (size, size)
        assert new.min() == new.max() == np.float32(200) / np.float32(255)


def test_the_window_is_the_centre_of_the_whole():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (100, 100), np.uint8)
    labels = np.zeros((100, 100), np.int32)
    labels[40:60, 45:70] = 1
    only = augmenter(c.Affine(p=1))
    whole, whole_labels = only(image, labels, 3)
    window, window_labels = only(image, labels, 3, size=(50, 40))
    np.testing.assert_allclose(window, whole[25:75, 30:70], atol=1.1 / 255)  # OpenCV rounds positions to 1/32 pixel
    np.testing.assert_array_equal(window_labels > 0, whole_labels[25:75, 30:70] > 0)


def test_reach_and_zoom():
    assert augmenter().reach == augmenter().largest_zoom == 1
    assert augmenter(c.Affine(p=0)).reach == 1
    turned = augmenter(c.Affine(scale=(0.5, 3.0)))
    assert turned.reach == pytest.approx(2 * np.sqrt(2), rel=1e-3)
    assert turned.largest_zoom == 3
    assert augmenter(c.Affine(scale=(1.0, 1.0), rotate=(0, 0))).reach == 1


def test_a_class_map_is_moved_with_the_image_and_keeps_its_classes():
    classes = np.zeros((64, 64), np.uint8)
    classes[2:4, 2:4], classes[10:30, 10:30], classes[40:60, 35:60] = 7, 3, 3
    _, same = augmenter()(classes, classes, 0)
    np.testing.assert_array_equal(same, classes)
    moved = augmenter(c.Affine(p=1, scale=(1.0, 1.0), shear=0), c.Elastic(p=1), c.Flip(p=1), c.Rotate90(p=1))
    for seed in range(5):
        assert set(np.unique(moved(classes, classes, seed)[1])) <= {0, 3, 7}


def test_dark_images_get_noise_of_their_own_range():
    # A 12-bit image in uint16 spans a sixteenth of the dtype's range.
    image = np.random.default_rng(0).integers(0, 4096, (128, 128)).astype(np.uint16)
    labels = np.zeros((128, 128), np.int32)
    high = 4095 / 65535
    noisy = augmenter(c.Noise(p=1, std=(0.05, 0.05)))(image, labels, 0, value_range=(0.0, high))[0]
    middle = (image > 1024) & (image < 3072)
    assert np.std((noisy - image / 65535)[middle]) == pytest.approx(0.05 * high, rel=0.1)


def test_what_exceeds_the_range_is_kept():
    image = np.full((32, 32), 50, np.uint8)
    image[5, 5] = 255
    new, _ = augmenter(c.Gamma(p=1))(image, np.zeros((32, 32), np.int32), 0, value_range=(0.0, 100 / 255))
    assert new[5, 5] == pytest.approx(1.0)


def test_invert_turns_the_range_round():
    image = np.array([[10, 20], [30, 40]], np.uint8).repeat(8, 0).repeat(8, 1)
    new, _ = augmenter(c.Invert(p=1))(image, np.zeros((16, 16), np.int32), 0, value_range=(10 / 255, 40 / 255))
    np.testing.assert_allclose(new * 255, 50 - image.astype(float), atol=1e-3)
