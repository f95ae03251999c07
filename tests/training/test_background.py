import numpy as np

from nucseg.training.background import SMALLEST_CROP, background_crop, made_up_background


def test_generated_images_are_grey_or_coloured_and_never_the_same():
    images = [made_up_background(np.random.default_rng(seed), 64) for seed in range(40)]
    assert {image.shape for image in images} == {(64, 64), (64, 64, 3)}
    assert all(image.dtype == np.uint16 for image in images)
    assert len({image.tobytes() for image in images}) == len(images)
    np.testing.assert_array_equal(images[3], made_up_background(np.random.default_rng(3), 64))


def test_some_generated_images_are_without_noise():
    images = [made_up_background(np.random.default_rng(seed), 64) / 65535 for seed in range(40)]
    grain = [np.median(np.abs(np.diff(image, 2, axis=0))) for image in images]
    assert 4 <= sum(each < 2e-4 for each in grain) <= 20
    assert sum(each > 2e-3 for each in grain) >= 10


def test_a_crop_has_no_nucleus_and_lies_inside():
    rng = np.random.default_rng(0)
    labels = np.zeros((150, 200), np.int32)
    labels[60:70, 20:40], labels[100:130, 150:190] = 1, 2
    image = np.arange(labels.size).reshape(labels.shape)
    for size in (64, 63, 300):
        for _ in range(50):
            crop = background_crop(image, labels, rng, size)
            assert crop.shape[0] == crop.shape[1]
            assert SMALLEST_CROP <= crop.shape[0] <= size
            row, column = divmod(int(crop[0, 0]), 200)
            inside = np.s_[row : row + crop.shape[0], column : column + crop.shape[1]]
            np.testing.assert_array_equal(image[inside], crop)
            assert not labels[inside].any()


def test_no_crop_where_nuclei_are_everywhere():
    labels = np.zeros((120, 120), np.uint16)
    labels[::40, ::40] = 1
    assert background_crop(labels, labels, np.random.default_rng(0), 64) is None
    assert background_crop(labels[:20], labels[:20] * 0, np.random.default_rng(0), 64) is None
