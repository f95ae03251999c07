from dataclasses import replace

import numpy as np

from nucseg.core.window import Window
from nucseg.images.source import array_source
from nucseg.reporting.pictures import read_every, stretch_contrast


def test_stretch_uses_the_percentiles_of_all_pixels():
    image = np.arange(101, dtype=np.uint16)[None] * 600
    stretched = stretch_contrast(image, (10, 90))
    assert stretched.dtype == np.float32
    np.testing.assert_allclose(stretched[0, [0, 10, 50, 90, 100]], [0, 0, 0.5, 1, 1])


def test_stretch_of_a_blank_image_is_black():
    assert (stretch_contrast(np.full((4, 4), 7, np.uint8), (1, 99)) == 0).all()


def test_every_third_pixel_of_an_image_and_of_the_level_that_is_fine_enough():
    image = np.arange(700 * 90).reshape(700, 90).astype(np.int32)
    source = array_source(image)
    np.testing.assert_array_equal(read_every(source, Window(5, 10, 690, 80), 3), image[5:690:3, 10:80:3])
    levels = tuple(array_source(image[::step, ::step]) for step in (2, 4))
    found = read_every(replace(source, levels=levels), Window(4, 8, 696, 88), 3)
    rows, columns = np.arange(4, 696, 3) // 2 * 2, np.arange(8, 88, 3) // 2 * 2
    np.testing.assert_array_equal(found, image[np.ix_(rows, columns)])
