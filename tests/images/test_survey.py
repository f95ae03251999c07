from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import skimage.data
import stardist.data
import tifffile
from matplotlib import colormaps
from PIL import Image
from scipy.ndimage import gaussian_filter

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images import grid
from nucseg.images import source as source_module
from nucseg.images.io import decode_image, read_image
from nucseg.images.open import open_image
from nucseg.images.preprocessing import Preprocessor
from nucseg.images.source import array_source
from nucseg.images.stains import stained
from nucseg.images.survey import Survey, survey
from nucseg.images.transforms import Normalize

HUES = {
    "red": (1, 0, 0),
    "orange": (1, 0.5, 0),
    "yellow": (1, 1, 0),
    "green": (0, 1, 0),
    "cyan": (0, 1, 1),
    "blue": (0, 0.15, 1),
    "violet": (0.5, 0, 1),
    "magenta": (1, 0, 1),
}


@pytest.fixture(scope="module")
def grey(draw_nuclei) -> np.ndarray:
    """Fluorescence in unit range, with a background that is not black."""
    image = draw_nuclei((144, 160), 24, seed=5)[0].astype(float)
    image = gaussian_filter(image - image.min(), 1)
    return 0.03 + 0.9 * image / image.max()


def coloured(grey, colour, dtype, offset=0.0) -> np.ndarray:
    unit = (grey[..., None] * np.array(colour) + offset).clip(0, 1)
    return np.rint(unit * np.iinfo(dtype).max).astype(dtype)


def stored(image, suffix) -> np.ndarray:
    """Write and read an image."""
    stream = BytesIO()
    if suffix == "tif":
        tifffile.imwrite(stream, image, photometric="rgb")
    elif suffix == "png":
        stream.write(imagecodecs.png_encode(image))
    else:
        Image.fromarray(image).save(stream, "JPEG", quality=int(suffix))
    return decode_image(stream, "image")


def look(image) -> Survey:
    return survey(array_source(image, "picture"))


@pytest.mark.parametrize("hue", HUES)
@pytest.mark.parametrize("dtype, suffix", [("uint8", "png"), ("uint16", "png"), ("uint8", "tif"), ("uint16", "tif")])
@pytest.mark.parametrize("offset", [0, 0.04])
def test_one_stain_in_any_hue_is_its_grey_image(grey, hue, dtype, suffix, offset):
    image = stored(coloured(grey, HUES[hue], dtype, offset), suffix)
    seen = look(image)
    assert (seen.channels, seen.notes) == (1, (f"one stain in false colour ({hue}): read as grey.",))
    assert np.array_equal(seen.canonical(image), coloured(grey, (1,), dtype, offset)[..., 0])


@pytest.mark.parametrize("hue", HUES)
@pytest.mark.parametrize("quality", ["75", "95"])
def test_one_stain_is_recognised_through_the_noise_of_jpeg(grey, hue, quality):
    image = stored(coloured(grey, HUES[hue], np.uint8), quality)
    seen = look(image)
    assert seen.notes[0] == f"one stain in false colour ({hue}): read as grey."
    assert np.corrcoef(seen.canonical(image).ravel(), grey.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("quality, coarse", [(75, True), (85, True), (90, False), (100, False)])
@pytest.mark.parametrize("in_tiff", [False, True])
def test_a_stain_in_a_coarse_jpeg_is_warned_of(grey, tmp_path, quality, coarse, in_tiff):
    image = coloured(grey, HUES["blue"], np.uint8)
    file = tmp_path / "image"
    if in_tiff:
        options = {"photometric": "rgb", "compression": "jpeg", "compressionargs": {"level": quality}}
        tifffile.imwrite(file, image, tile=(32, 32), subsampling=(2, 2), **options)
    else:
        Image.fromarray(image).save(file, "JPEG", quality=quality)
    notes = survey(open_image(file)).notes
    assert notes[0] == "one stain in false colour (blue): read as grey."
    assert [note for note in notes if "JPEG compression is too coarse" in note] == list(notes[1:])
    assert len(notes) == 1 + coarse


def test_a_grey_jpeg_is_not_warned_of(grey, tmp_path):
    Image.fromarray(np.rint(255 * grey).astype(np.uint8)).save(tmp_path / "a.jpg", quality=50)
    assert survey(open_image(tmp_path / "a.jpg")).notes == ()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_have_false_colours_too(grey, dtype):
    seen = look((grey[..., None] * np.array((0, 0.5, 1))).astype(dtype))
    assert (seen.channels, seen.channel) == (1, 2)


def test_the_channels_are_grey_where_they_are_equal_or_nearly_so(grey):
    image = coloured(grey, (1, 1, 1), np.uint8)
    assert look(image) == Survey(1)
    image[5, 5, 2] ^= 1
    assert look(image).notes == ("nearly grey: read as grey.",)


def dark_canvas(image: np.ndarray, value: int = 0) -> np.ndarray:
    canvas = np.full((image.shape[0] + 203, image.shape[1] + 300, *image.shape[2:]), value, image.dtype)
    canvas[101 : 101 + image.shape[0], 93 : 93 + image.shape[1]] = image
    return canvas


BROWN = "looks like tissue stained with DAB (brown): nuclei may be found better with --channel hematoxylin."


def tissue() -> dict[str, np.ndarray]:
    """Real and drawn tissue."""
    root = Path(__file__).parents[2]
    return {
        "StarDist's H&E": read_image(Path(stardist.data.__file__).parent / "images/histo.jpg"),
        "IHC": skimage.data.immunohistochemistry(),
        "sample": read_image(root / "samples/histology.tif"),
    }


@pytest.mark.parametrize("name", tissue())
@pytest.mark.parametrize("surroundings", [None, 0, 255])
def test_tissue_stays_a_picture_in_colours(name, surroundings):
    image = tissue()[name]
    seen = look(image if surroundings is None else dark_canvas(image, surroundings))
    assert (seen.channels, seen.notes) == (3, (BROWN,) if name == "IHC" else ())


def test_brown_is_not_spoken_of_where_a_stain_is_chosen():
    image = tissue()["IHC"]
    assert survey(stained(array_source(image), "hematoxylin")).notes == ()
    assert look(image.astype(np.uint16) * 257).notes == (BROWN,)


@pytest.mark.parametrize("name", tissue())
def test_no_part_of_tissue_is_taken_for_stains_on_black(name):
    image = tissue()[name]
    for top in range(0, image.shape[0] - 95, 48):
        for left in range(0, image.shape[1] - 95, 48):
            seen = look(image[top : top + 96, left : left + 96])
            assert seen.channels == 3
            assert set(seen.notes) <= ({BROWN} if name == "IHC" else set())


def stains(grey, third=0.0) -> np.ndarray:
    """Merge nuclei, a cytoplasm around them and perhaps a third stain, each in a channel."""
    grey = (grey - np.median(grey)).clip(0)
    cells = gaussian_filter(grey, 7)
    noise = gaussian_filter(np.random.default_rng(0).random(grey.shape), 4)
    other = third * (noise - noise.min()) / np.ptp(noise)
    return np.dstack([0.8 * cells / cells.max(), other, 0.9 * grey])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("third", [0, 0.5])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_several_stains_on_black_are_refused_with_what_to_do(grey, order, third, dtype):
    image = (stains(grey, third)[..., order] * np.iinfo(dtype).max / 4).astype(dtype)
    with pytest.raises(InputError, match=r"picture: shows several stains in colour on black; .*--channel 0, 1 or 2"):
        look(image)


@pytest.mark.parametrize("table", ["viridis", "magma", "inferno", "hot", "jet"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_one_stain_in_a_lookup_table_is_refused_with_what_to_do(grey, table, dtype):
    image = colormaps[table](grey)[..., :3]
    if dtype != np.float32:
        image = np.rint(image * 255).astype(dtype) * (np.iinfo(dtype).max // 255)
    image = image.astype(dtype)
    image[-6:-3, -40:-5] = image.max()  # a scale bar
    with pytest.raises(
        InputError, match="one channel in the colours of a lookup table; save the original image in grey"
    ):
        look(image)


def test_a_tinted_grey_image_is_in_no_lookup_table(grey):
    sepia = (grey[..., None] * np.array((1.351, 1.203, 0.937)) * 255).clip(0, 255)
    assert look(sepia.astype(np.uint8)).channels == 1
    assert look(255 - coloured(grey, (0.5, 0.9, 0.3), np.uint8)).channels == 3


@pytest.mark.parametrize("name", tissue())
@pytest.mark.parametrize("colours", [48, 256])
def test_tissue_in_few_colours_is_in_no_lookup_table(name, colours):
    image = np.asarray(Image.fromarray(tissue()[name]).quantize(colours).convert("RGB"))
    assert look(image).channels == 3


def test_a_dark_picture_that_may_be_stains_or_tissue_gets_a_warning(grey):
    pale = 0.5 * stains(grey, 0.3) + 0.5 * (grey - np.median(grey)).clip(0)[..., None]
    seen = look((pale * 255).astype(np.uint8))
    assert seen.channels == 3
    assert seen.notes[0].startswith("a dark colour image, read as stained tissue")
    assert "--channel" in seen.notes[0]


def test_so_few_pixels_have_no_colours_to_judge():
    image = np.zeros((24, 24, 3), np.uint8)
    image[5:9, 5:9, 0], image[15:19, 5:9, 2] = 200, 90
    assert look(image) == Survey(3)


@pytest.mark.parametrize(
    "value, dtype", [(0, np.uint8), (255, np.uint8), (0, np.uint16), (65535, np.uint16), (77, np.uint16)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_surroundings_hold_no_data(grey, value, dtype, channels):
    unit = grey[..., None] * np.array([1, 0.8, 0.9])[:channels]
    field = (1000 + unit * 20000 if dtype == np.uint16 else 20 + unit * 200).astype(dtype)
    field = field[..., 0] if channels == 1 else field
    canvas = dark_canvas(field, value)
    expected = np.zeros(canvas.shape[:2], bool)
    expected[101 : 101 + field.shape[0], 93 : 93 + field.shape[1]] = True
    surroundings = look(canvas).surroundings
    assert np.array_equal(surroundings.hold(canvas, Window.whole(canvas.shape)), ~expected)
    filled = surroundings.filled(array_source(canvas)).read(Window(50, 60, 250, 260))
    assert np.array_equal(filled[expected[50:250, 60:260]], canvas[50:250, 60:260][expected[50:250, 60:260]])
    assert (filled[~expected[50:250, 60:260]] == surroundings.fill).all()
    assert surroundings.fill == pytest.approx(np.median(field, axis=(0, 1)).reshape(-1), rel=0.1)
    alone, within = (Preprocessor((Normalize(),), 3).fit(image) for image in (field, canvas))
    assert (within.low, within.span, within.channel) == (alone.low, alone.span, alone.channel)


def surrounded_tissue(value: int) -> tuple[np.ndarray, np.ndarray]:
    """Tissue whose edges lie within the blocks of JPEG, and where it lies."""
    canvas = dark_canvas(tissue()["StarDist's H&E"][:201, :250], value)
    holds_data = np.zeros(canvas.shape[:2], bool)
    holds_data[101:302, 93:343] = True
    return canvas, holds_data


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("quality", ["75", "95"])
@pytest.mark.parametrize("most_cells", [2**19, 1200])
def test_the_ringing_of_jpeg_beside_the_data_is_no_data(value, quality, most_cells, monkeypatch):
    monkeypatch.setattr(grid, "_MOST_CELLS", most_cells)
    canvas, holds_data = surrounded_tissue(value)
    canvas = stored(canvas, quality)
    assert np.count_nonzero((canvas != value).any(axis=2) & ~holds_data) > 2000
    surroundings = look(canvas).surroundings
    outside = surroundings.hold(canvas, Window.whole(canvas.shape))
    assert np.count_nonzero(outside & holds_data) == 0
    assert np.count_nonzero(~outside & ~holds_data) < 100
    window = Window(70, 60, 250, 260)
    assert np.array_equal(surroundings.hold(canvas[70:250, 60:260], window), outside[70:250, 60:260])
    field = np.ascontiguousarray(canvas[101:302, 93:343])
    alone, within = (Preprocessor((Normalize(),), 3).fit(image) for image in (field, canvas))
    np.testing.assert_allclose((within.low, within.span), (alone.low, alone.span), atol=1.5 / 255)
    monkeypatch.setattr(source_module, "_BAND_PIXELS", 13 * canvas.shape[1])
    assert np.array_equal(look(canvas).surroundings.hold(canvas, Window.whole(canvas.shape)), outside)


def test_glass_beside_the_surroundings_of_a_lossless_image_is_data():
    canvas, holds_data = surrounded_tissue(255)
    glass = np.random.default_rng(0).integers(245, 255, (60, 250, 3), np.uint8)
    canvas[101:161, 93:343] = glass
    outside = look(canvas).surroundings.hold(canvas, Window.whole(canvas.shape))
    assert np.array_equal(outside, ~holds_data)


def test_a_dark_background_that_fades_to_zero_is_data(draw_nuclei):
    """As around the embryos of BBBC038: values near 0 between zeros, but no edge that could ring."""
    fade = np.clip((120 - np.abs(np.mgrid[:400, :400] - 199.5).max(axis=0)) / 120, 0, 1) ** 2
    noise = np.random.default_rng(0).uniform(0, 1, fade.shape)
    image = np.where(fade > 0, fade * 200 + noise + 0.3, 0).astype(np.uint8)
    surroundings = look(image).surroundings
    outside = surroundings.hold(image, Window.whole(image.shape))
    assert outside[0].all()
    assert not image[outside].any()


def test_fields_that_are_stitched_and_a_round_one_are_the_data(grey):
    rows, columns = np.mgrid[:700, :1000]
    image = np.tile((1000 + grey * 20000).astype(np.uint16), (8, 8))[:700, :1000]
    stitched = (rows > 30) & (rows < 640) & (columns > 40) & (columns < 200 + 150 * (rows > 300))
    round_one = (rows - 350) ** 2 + (columns - 700) ** 2 < 280**2
    image[~stitched & ~round_one] = 0
    assert np.array_equal(look(image).surroundings.hold(image, Window.whole(image.shape)), image == 0)


def test_nuclei_before_a_background_that_was_blackened_are_no_fields(grey):
    rows, columns = np.mgrid[:600, :600] % 200
    texture = np.tile((1000 + grey * 20000).astype(np.uint16), (7, 5))[:600, :600]
    assert look(np.where((rows - 100) ** 2 + (columns - 100) ** 2 < 90**2, texture, 0)).surroundings is None
    large = (np.mgrid[:600, :600][0] - 300) ** 2 + (np.mgrid[:600, :600][1] - 300) ** 2 < 110**2
    assert look(np.where(large, texture, 0)).surroundings is None


def test_a_background_of_many_zeros_is_data(grey):
    """As after a background was subtracted: zeros between the nuclei, but in the noise, too."""
    image = (grey * 255).astype(int) + np.random.default_rng(0).normal(-38, 6, grey.shape).astype(int)
    image = np.tile(image.clip(0, 255).astype(np.uint8), (2, 2))
    image[:40], image[:, :30] = 0, 0
    assert (image == 0).mean() > 0.5
    assert look(image).surroundings is None


def test_one_value_everywhere_is_data():
    assert look(np.zeros((200, 200), np.uint8)).surroundings is None


@pytest.mark.parametrize("most_cells", [2**19, 1200])
def test_bands_give_the_same_as_the_whole(grey, monkeypatch, most_cells):
    monkeypatch.setattr(grid, "_MOST_CELLS", most_cells)
    image = dark_canvas(coloured(grey, HUES["orange"], np.uint8, 0.1))
    whole = look(image)
    monkeypatch.setattr(source_module, "_BAND_PIXELS", 13 * image.shape[1])
    banded = look(image)
    assert (banded.channels, banded.channel, banded.notes) == (1, 0, whole.notes)
    window = Window(60, 0, 260, image.shape[1])
    outside = whole.surroundings.hold(image[60:260], window)
    assert outside.sum() == outside.size - grey.size
    assert np.array_equal(banded.surroundings.hold(image[60:260], window), outside)
    assert np.array_equal(banded.surroundings.fill, whole.surroundings.fill)


def test_transparent_pixels_are_noted(grey):
    image = np.dstack([coloured(grey, (0, 0, 1), np.uint8), np.full(grey.shape, 255, np.uint8)])
    assert not any("transparent" in note for note in survey(array_source(image)).notes)
    image[-1, -1, 3] = 254
    assert "a part of it is transparent; it is read as if it were not." in survey(array_source(image)).notes


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_equal_pixels_are_noted(channels):
    image = np.full((20, 30, *channels), 7, np.uint16)
    assert survey(array_source(image)).notes == ("all its pixels are equal.",)
    image[-1, -1] = 8
    assert not survey(array_source(image)).notes
