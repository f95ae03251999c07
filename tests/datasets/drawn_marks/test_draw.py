import numpy as np
import pytest
from scipy import ndimage

from nucseg.datasets.drawn_marks import draw_marks


def test_a_seed_is_an_image():
    image, mask = draw_marks(3, 96, 128)
    again, mask_again = draw_marks(3, 96, 128)
    other, _ = draw_marks(4, 96, 128)
    assert image.shape == mask.shape == (96, 128)
    assert image.dtype == mask.dtype == np.uint8
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(mask, mask_again)
    assert (image != other).any()


def test_images_have_marks_that_can_be_seen():
    """A mark differs from the ground round it, in tone or in texture; most images have several, a few have none."""
    counts, seen = [], []
    for seed in range(40):
        image, mask = draw_marks(seed, 256, 256)
        assert set(np.unique(mask)) <= {0, 1}
        counts.append(ndimage.label(mask)[1])
        if counts[-1]:
            ring = ndimage.binary_dilation(mask, iterations=6) & (mask == 0)
            inside, outside = image[mask > 0].astype(float), image[ring].astype(float)
            tone = abs(inside.mean() - outside.mean()) / (outside.std() + 1)
            seen.append(tone > 0.5 or inside.std() < 0.8 * outside.std())
    assert 0 < counts.count(0) < 10
    assert np.median(counts) > 8
    assert np.mean(seen) > 0.9


@pytest.mark.parametrize("height, width", [(1, 1), (1, 300), (64, 7)])
def test_any_size_can_be_drawn(height, width):
    for seed in range(5):
        image, mask = draw_marks(seed, height, width)
        assert image.shape == mask.shape == (height, width)


def test_no_pixel_is_refused():
    with pytest.raises(ValueError, match="0 x 5 pixels"):
        draw_marks(0, 0, 5)
