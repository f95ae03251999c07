"""Drawn slides of some hundred cells a side: stained tissue, glass, pens, shadows, fluorescence."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from nucseg.images.source import ImageSource, array_source
from nucseg.images.tissue import cells_shape, find_tissue, overview
from slides import halved

SIDE = 300
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
TISSUE = ((ROWS - 120) / 70) ** 2 + ((COLUMNS - 120) / 80) ** 2 < 1
PENS = {
    "blue": ((25, 50, 150), [(20, 20), (20, 280)]),
    "green": ((20, 130, 70), [(60, 270), (200, 290)]),
    "red": ((200, 25, 35), [(280, 20), (280, 220)]),
    "black": ((30, 30, 32), [(60, 15), (240, 25)]),
}
STAINS = {"haematoxylin": (120, 90, 160), "pale eosin": (235, 205, 222), "brown": (150, 110, 70)}


def glass(seed=0):
    """Return white glass, lit unevenly, with noise, and grey shadows at two borders."""
    noise = np.random.default_rng(seed).normal(0, 1, (SIDE, SIDE, 3))
    image = np.full((SIDE, SIDE, 3), (242.0, 240.0, 243.0)) - np.linspace(0, 14, SIDE)[:, None] + noise
    image[:, :8] *= 0.75
    image[-8:] *= 0.7
    return image


def stained(image, colour, seed=1):
    texture = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 60, (SIDE, SIDE)), 1.5)[..., None]
    soft = ndimage.gaussian_filter(TISSUE.astype(float), 1)[..., None]
    return (image * (1 - soft) + (np.array(colour) + texture) * soft).clip(1, 254).astype(np.float32)


def assert_found(mask, truth, *, recall=0.99, beyond=0.02):
    around = ndimage.binary_dilation(truth, iterations=5)
    assert mask[truth].mean() >= recall
    assert np.count_nonzero(mask & ~around) <= beyond * np.count_nonzero(truth)


@pytest.mark.parametrize("stain", STAINS)
def test_stained_tissue_on_glass_with_shadows(stain):
    assert_found(find_tissue(stained(glass(), STAINS[stain]), 255), TISSUE)


@pytest.mark.parametrize("pen", PENS)
def test_marks_of_pens_are_left_out(pen):
    colour, line = PENS[pen]
    picture = Image.fromarray(stained(glass(), STAINS["haematoxylin"]).astype(np.uint8))
    ImageDraw.Draw(picture).line(line, fill=colour, width=8)
    image = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.8)), np.float32)
    assert_found(find_tissue(image, 255), TISSUE)


def test_what_was_not_scanned_is_left_out():
    image = stained(glass(), STAINS["haematoxylin"])
    image[:, 220:260], image[:, 260:] = 0, 255
    mask = find_tissue(image, 255)
    assert not mask[:, 225:].any()
    assert_found(mask, TISSUE)


def test_grey_tissue_on_white():
    image = stained(np.full((SIDE, SIDE, 3), 240.0) + glass() / 100, (170, 170, 170)).mean(2)
    assert_found(find_tissue(image, 255), TISSUE)


def test_fluorescence_on_black_to_the_single_cell():
    random = np.random.default_rng(2)
    image = 110 + 400 * TISSUE + random.normal(0, 2, (SIDE, SIDE))
    cells = np.zeros((SIDE, SIDE), bool)
    cells[tuple(random.integers(220, 290, (2, 20)))] = True
    image[cells] += 25
    mask = find_tissue(image.astype(np.float32), 65535)
    assert mask[cells].all()
    assert_found(mask, TISSUE | ndimage.binary_dilation(cells, iterations=2))


def test_a_field_without_glass_is_all_tissue_and_glass_is_none():
    image = np.random.default_rng(0).normal((180, 130, 175), 12, (SIDE, SIDE, 3)).clip(1, 254)
    assert find_tissue(image.astype(np.float32), 255).all()
    assert not find_tissue(glass()[:280, 20:].astype(np.float32), 255).any()
    assert not find_tissue(np.zeros((20, 30, 3), np.float32), 255).any()
    assert not find_tissue(np.full((20, 30), 7, np.float32), 255).any()


def test_the_overview_is_read_from_a_small_level_and_shows_the_same():
    rows, columns = np.mgrid[:1024, :1536]
    image = np.dstack([rows % 256, columns % 256, (rows + columns) // 12 % 256]).astype(np.uint8)
    assert cells_shape(image.shape) == (171, 256)
    read = []

    def opened(pixels):
        def taken(window):
            read.append(pixels.shape)
            return pixels[window.slices]

        return ImageSource("a", pixels.shape, pixels.dtype, taken)

    first, *levels = map(opened, halved(image, 3))
    slide = ImageSource("a", first.shape, first.dtype, first.read, levels=tuple(levels))
    found = overview(slide)
    assert set(read) == {(256, 384, 3)}
    assert np.abs(found - overview(array_source(image))).mean() < 1.5
    np.testing.assert_allclose(found[0, 0], image[:6, :6].mean((0, 1)), atol=1)
    assert overview(array_source(image[:30, :40])).shape == (30, 40, 3)
