import numpy as np
import pytest
from skimage.color import rgb2gray

from nucseg.images.channels import canonical_channels, to_channels, to_grey, to_rgb

GREY = np.random.default_rng(0).integers(0, 256, (6, 7), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (6, 7, 3), dtype=np.uint8)
ALPHA = np.full((6, 7), 9, np.uint8)


@pytest.mark.parametrize(
    "image, expected",
    [
        (GREY, GREY),
        (GREY[..., None], GREY),
        (np.dstack([GREY, GREY, GREY]), GREY),
        (np.dstack([GREY, GREY, GREY, ALPHA]), GREY),
        (RGB, RGB),
        (np.dstack([RGB, ALPHA]), RGB),
        (np.dstack([GREY, GREY, ALPHA]), np.dstack([GREY, GREY, ALPHA])),
        (np.dstack([GREY, ALPHA, GREY]), np.dstack([GREY, ALPHA, GREY])),
    ],
)
def test_canonical_channels(image, expected):
    assert np.array_equal(canonical_channels(image), expected)


def test_grey_is_the_luminance():
    assert to_grey(RGB / 255) == pytest.approx(rgb2gray(RGB))
    assert np.array_equal(to_grey(RGB), np.rint(255 * rgb2gray(RGB)))
    assert np.array_equal(to_grey(np.dstack([RGB, ALPHA])), to_grey(RGB))
    assert np.array_equal(to_grey(GREY), GREY)
    assert np.array_equal(to_grey(GREY[..., None]), GREY)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float16", "float32", "float64"])
def test_the_dtype_stays_and_equal_channels_keep_their_value(dtype):
    top = np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else 1
    image = np.array([[0, top, top // 3]], dtype)
    grey = to_grey(to_rgb(image))
    assert grey.dtype == dtype
    assert grey == pytest.approx(image)


def test_a_pixel_is_the_same_grey_wherever_it_lies():
    image = np.random.default_rng(0).random((37, 41, 3), np.float32)
    assert np.array_equal(to_grey(image)[5:18, 3:38], to_grey(image[5:18, 3:38]))


def test_repeated_grey_takes_no_memory():
    grey = np.arange(12.0).reshape(3, 4)
    repeated = to_rgb(grey)
    np.testing.assert_array_equal(repeated, np.stack([grey] * 3, -1))
    assert np.shares_memory(repeated, grey)
    assert not repeated.flags.writeable


def test_to_channels():
    assert np.array_equal(to_channels(GREY, 1), GREY[..., None])
    assert np.array_equal(to_channels(GREY, 3), np.dstack([GREY] * 3))
    assert np.array_equal(to_channels(GREY[..., None], 3), np.dstack([GREY] * 3))
    assert np.array_equal(to_channels(RGB, 1)[..., 0], to_grey(RGB))
    assert np.array_equal(to_channels(np.dstack([RGB, ALPHA]), 3), RGB)
