"""Stains of tissue: separated pixel by pixel, chosen like a channel, refused where there are none."""

import imagecodecs
import numpy as np
import pytest
import skimage.data
import tifffile
from hypothesis import given, reject
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.color import hed2rgb, rgb2hed, rgb_from_hed

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.given import given_image
from nucseg.images.open import open_image
from nucseg.images.planes import STAINS
from nucseg.images.preprocessing import Preprocessor
from nucseg.images.source import array_source
from nucseg.images.stains import as_hematoxylin, density, separated, stained
from nucseg.images.transforms import Normalize

RGB = np.random.default_rng(1).integers(1, 256, (6, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize("stain", STAINS)
def test_a_stain_is_what_scikit_image_separates(stain):
    expected = 6 * rgb2hed(RGB)[..., STAINS.index(stain)]
    assert density(RGB, stain) == pytest.approx(expected, abs=1e-5)
    assert density(np.dstack([RGB, RGB[..., 0]]), stain) == pytest.approx(expected, abs=1e-5)  # alpha
    assert density(RGB.astype(np.uint16) * 257, stain) == pytest.approx(expected, abs=1e-5)
    assert density(RGB / 255, stain) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("number, stain", list(enumerate(STAINS)))
def test_densities_by_hand(number, stain):
    light = 10 ** -(0.8 * rgb_from_hed[number])  # what is left of white behind 0.8 of one stain
    found = {other: float(density(light[None, None], other)[0, 0]) for other in STAINS}
    assert found == {other: pytest.approx(0.8 if other == stain else 0, abs=1e-5) for other in STAINS}
    white, black = np.full((1, 1, 3), 255, np.uint8), np.zeros((1, 1, 3), np.uint8)
    assert density(white, stain) == 0
    assert density(black, stain) == density(white // 255, stain)  # no light is as little as a camera tells from it


def test_a_stain_is_shown_in_the_colour_of_haematoxylin():
    alone = np.zeros((6, 7, 3))
    alone[..., 0] = rgb2hed(RGB)[..., 0]
    # `hed2rgb` cuts off what is brighter than white, and so does the range here: densities are at least 0.
    assert as_hematoxylin(RGB, "hematoxylin") / 65535 == pytest.approx(hed2rgb(alone), abs=2e-5)
    brown = np.rint(255 * 10 ** -rgb_from_hed[2])[None, None].astype(np.uint8)
    purple = np.rint(255 * 10 ** -rgb_from_hed[0])
    assert as_hematoxylin(brown, "dab")[0, 0] / 257 == pytest.approx(purple, abs=1.5)


@st.composite
def colours(draw):
    dtype = np.dtype(draw(st.sampled_from([np.uint8, np.uint16, np.float32, np.float64])))
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    shape = (height, width, draw(st.sampled_from([3, 4])))
    if dtype.kind == "f":
        return draw(arrays(dtype, shape, elements=st.floats(0, 1, width=32)))
    return draw(arrays(dtype, shape, elements=st.integers(0, np.iinfo(dtype).max)))


@given(colours(), st.sampled_from(STAINS), st.sampled_from([1, 3]), st.data())
def test_a_part_of_a_stained_image_is_the_crop_of_the_whole_exactly(image, stain, in_channels, data):
    source = stained(array_source(image), stain)
    try:
        fitted = Preprocessor((Normalize(),), in_channels).fit_source(source)
    except InputError as error:  # of these random images some are grey
        if "is grey" not in str(error):
            raise
        reject()
    top, left = data.draw(st.integers(0, image.shape[0] - 1)), data.draw(st.integers(0, image.shape[1] - 1))
    whole = fitted.image(image)
    assert whole.shape == (*image.shape[:2], in_channels)
    assert np.array_equal(fitted.image(image[top:, left:]), whole[top:, left:])
    window = Window(top, left, *image.shape[:2])
    assert np.array_equal(separated(source).read(window), density(image, stain)[top:, left:])


def test_much_of_a_stain_is_dark_for_three_channels_and_bright_for_one():
    image = skimage.data.immunohistochemistry()[200:300, 200:300]
    source = stained(array_source(image), "hematoxylin")
    purple, bright = (Preprocessor((Normalize(),), n).fit_source(source).image(image) for n in (3, 1))
    most, least = np.percentile(density(image, "hematoxylin"), (95, 5))
    is_much, is_little = density(image, "hematoxylin") > most, density(image, "hematoxylin") <= least
    assert purple[is_much].mean() < purple[is_little].mean() - 0.3
    assert bright[is_much].mean() > bright[is_little].mean() + 0.3


def test_what_is_left_of_other_stains_is_not_amplified():
    rng = np.random.default_rng(0)
    pink = (np.array([235, 170, 205]) + rng.normal(0, 2, (80, 80, 3))).astype(np.uint8)
    fitted = Preprocessor((Normalize(),), 3).fit_source(stained(array_source(pink), "hematoxylin"))
    assert fitted.image(pink).min() > 0.5  # white stays white
    assert np.percentile(fitted.image(pink), 99.8) == pytest.approx(1)


FILES = {
    "png": lambda path, image: path.write_bytes(imagecodecs.png_encode(image)),
    "tif": lambda path, image: tifffile.imwrite(path, image, photometric="rgb", tile=(16, 16)),
}


@pytest.mark.parametrize("suffix", FILES)
def test_a_stain_is_chosen_in_any_file_in_colour(tmp_path, suffix):
    image = np.tile(RGB, (8, 8, 1))
    FILES[suffix](tmp_path / f"a.{suffix}", image)
    source = open_image(tmp_path / f"a.{suffix}", channel=" DAB ")
    assert (source.stain, source.shape) == ("dab", image.shape)  # tissue is found, and pictures are drawn, in colour
    window = Window(3, 5, 40, 51)
    assert np.array_equal(source.read(window), image[window.slices])
    assert np.array_equal(separated(source).read(window), density(image, "dab")[window.slices])
    assert given_image(image, "eosin", (), None)[0].stain == "eosin"


def test_a_channel_that_the_file_calls_so_comes_first(tmp_path):
    image = np.random.default_rng(2).integers(0, 4000, (2, 20, 30), np.uint16)
    names = {"axes": "CYX", "Channel": {"Name": ["Hematoxylin", "DAB"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", image, photometric="minisblack", metadata=names)
    source = open_image(tmp_path / "a.ome.tif", channel="dab")
    assert source.stain is None
    assert np.array_equal(source.read(Window(0, 0, 20, 30)), image[1])
    with pytest.raises(InputError, match=r"no channel 'eosin'; allowed are Hematoxylin, DAB; or the numbers 0 and 1"):
        open_image(tmp_path / "a.ome.tif", channel="eosin")


def test_what_has_no_stains_is_refused_in_one_line(tmp_path, draw_nuclei):
    grey = draw_nuclei((96, 96), 8, seed=3)[0].astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", grey)
    preprocessor = Preprocessor((Normalize(),), 3)
    with pytest.raises(InputError, match=r"a.tif: is grey, so no dab can be separated from it; .* --channel dab, or"):
        open_image(tmp_path / "a.tif", channel="dab")
    for image, said in (
        (np.dstack([grey] * 3), "is grey, so no dab can be separated; leave out --channel."),
        (np.dstack([0 * grey, 0 * grey, grey]), r"shows one stain in false colour \(blue\), so no dab"),
        (np.random.default_rng(0).random((40, 40, 3)) * 255, "holds floats up to 25[45]"),
    ):
        with pytest.raises(InputError, match=said):
            preprocessor.fit_source(stained(array_source(image), "dab"))
    with pytest.raises(InputError, match="holds floats up to 2"):
        separated(array_source(np.full((4, 4, 3), 2.0)), "dab").read(Window(0, 0, 4, 4))
    tifffile.imwrite(tmp_path / "b.tif", RGB, photometric="rgb")
    with pytest.raises(InputError, match=r"'haem'; .* red, green, blue; of stained tissue hematoxylin, eosin, dab; or"):
        open_image(tmp_path / "b.tif", channel="haem")


def test_a_blank_image_may_have_any_stain():
    white = np.full((64, 64, 3), 255, np.uint8)
    fitted = Preprocessor((Normalize(),), 3).fit_source(stained(array_source(white), "hematoxylin"))
    assert np.ptp(fitted.image(white)) == 0
