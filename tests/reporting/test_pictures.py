import numpy as np

from nucseg.reporting.pictures import stretch_contrast


def test_stretch_uses_the_percentiles_of_all_pixels():
    image = np.arange(101, dtype=np.uint16)[None] * 600
    stretched = stretch_contrast(image, (10, 90))
    assert stretched.dtype == np.float32
    np.testing.assert_allclose(stretched[0, [0, 10, 50, 90, 100]], [0, 0, 0.5, 1, 1])


def test_stretch_of_a_blank_image_is_black():
    assert (stretch_contrast(np.full((4, 4), 7, np.uint8), (1, 99)) == 0).all()
