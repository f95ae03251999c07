import numpy as np
import pytest

from nucseg.augment.window import mirrored_window, value_range


@pytest.mark.parametrize("center, size", [((20, 25), 10), ((1, 1), 10), ((39, 49), 11), ((20, 25), 64), ((3, 40), 300)])
@pytest.mark.parametrize("channels", [None, 3])
def test_window_equals_that_of_a_padded_image(center, size, channels):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 65535, (40, 50) if channels is None else (40, 50, channels)).astype(np.uint16)
    labels = rng.integers(0, 5, (40, 50)).astype(np.int32)
    pad = ((size, size), (size, size))
    rows, columns = (slice(middle + size - size // 2, middle + size - size // 2 + size) for middle in center)
    window, window_labels = mirrored_window(image, labels, center, size)
    expected = np.pad(image, pad if channels is None else (*pad, (0, 0)), mode="reflect")[rows, columns]
    np.testing.assert_array_equal(window, expected)
    np.testing.assert_array_equal(window_labels, np.pad(labels, pad, mode="reflect")[rows, columns])


def test_value_range_ignores_a_hot_pixel():
    image = np.full((100, 100), 1000, np.uint16)
    image[:50] = 200
    image[3, 3] = 65535
    assert value_range(image) == pytest.approx((200 / 65535, 1000 / 65535), rel=1e-3)
