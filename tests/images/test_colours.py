"""Colour models of TIFF: converted as the file says, or refused."""

import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images import tiff as tiff_module
from nucseg.images.colours import colour_conversion
from nucseg.images.io import read_image, read_labels
from nucseg.images.open import open_image

GREY = np.random.default_rng(0).integers(0, 256, (32, 48), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (32, 48, 3), dtype=np.uint8)
SMOOTH = np.stack(np.broadcast_arrays(*np.ogrid[40:72, 80:128], 150), axis=-1).astype(np.uint8)
YCBCR = np.asarray(Image.fromarray(RGB).convert("YCbCr"))
BACK = np.asarray(Image.fromarray(YCBCR, "YCbCr").convert("RGB"))
RAMP = np.arange(256, dtype=np.uint16) * 257
NOTHING = np.zeros(256, np.uint16)


def read(path, channel=None):
    source = open_image(path, channel)
    image = source.read(Window.whole(source.shape))
    assert (image.shape, image.dtype) == (source.shape, source.dtype)
    return image


def patch(path, tag, *values):
    """Change the 16-bit values of a tag."""
    data = bytearray(path.read_bytes())
    place = data.index(struct.pack("<HHI", tag, 3, len(values))) + 8
    data[place : place + 2 * len(values)] = struct.pack(f"<{len(values)}H", *values)
    path.write_bytes(data)


def near(image, expected, within):
    return image.shape == expected.shape and np.abs(image.astype(int) - expected).max() <= within


# The rule for pages of several samples: the photometric interpretation and the extra samples decide.


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(
    "photometric, samples, extra, shape",
    [
        ("rgb", 3, None, (32, 48, 3)),
        ("rgb", 4, [2], (32, 48, 4)),
        ("rgb", 4, [1], (32, 48, 4)),
        ("rgb", 4, [0], "holds 4 channels (red, green, blue, 3)"),
        ("rgb", 5, [2, 0], "holds 5 channels (red, green, blue, alpha, 4)"),
        ("minisblack", 2, [2], (32, 48)),
        ("minisblack", 2, [1], (32, 48)),
        ("minisblack", 2, [0], "holds 2 channels (numbers 0 and 1)"),
        ("minisblack", 3, [0, 0], "holds 3 channels (numbers 0 to 2)"),
        ("minisblack", 4, [0, 0, 0], "holds 4 channels (numbers 0 to 3)"),
        ("minisblack", 4, [0, 0, 2], "holds 4 channels (numbers 0 to 3)"),
    ],
)
def test_samples(tmp_path, dtype, planar, compression, photometric, samples, extra, shape):
    image = np.random.default_rng(2).integers(0, 256, (32, 48, samples)).astype(dtype)
    stored = image if planar == "contig" else np.moveaxis(image, -1, 0)
    options = {"planarconfig": planar, "extrasamples": extra, "compression": compression, "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric=photometric, **options)
    if isinstance(shape, str):
        with pytest.raises(InputError) as refused:
            open_image(tmp_path / "a.tif")
        assert shape in str(refused.value)
        assert "choose one with --channel" in str(refused.value)
    else:
        expected = image if len(shape) == 3 else image[..., 0]
        assert np.array_equal(read(tmp_path / "a.tif"), expected)
        assert np.array_equal(read_image(tmp_path / "a.tif"), expected)
    for number in range(samples):
        assert np.array_equal(read(tmp_path / "a.tif", number), image[..., number])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "writer",
    [
        {"imagej": True, "metadata": {"axes": "CYX"}},
        {"imagej": True, "metadata": {"axes": "CYX", "mode": "composite"}},
        {"ome": True, "metadata": {"axes": "CYX"}, "photometric": "minisblack"},
        {"ome": True, "metadata": {"axes": "CYX"}, "photometric": "minisblack", "compression": "zlib"},
        {"metadata": {"axes": "CYX"}, "photometric": "minisblack"},
        {"photometric": "minisblack"},
        {"metadata": None, "photometric": "minisblack"},
    ],
    ids=["ImageJ", "composite", "OME", "compressed OME", "shaped", "no axis", "bare pages"],
)
def test_channels_and_pages_are_asked_for(tmp_path, writer, count, dtype):
    stack = np.random.default_rng(3).integers(0, 256, (count, 32, 48)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", stack, **writer)
    numbers = "numbers 0 and 1" if count == 2 else f"numbers 0 to {count - 1}"
    with pytest.raises(InputError, match=rf"holds {count} (channels|pages|planes) \({numbers}\); choose"):
        open_image(tmp_path / "a.tif")
    with pytest.raises(InputError, match="choose one"):
        read_image(tmp_path / "a.tif")
    for number in range(count):
        assert np.array_equal(read(tmp_path / "a.tif", str(number)), stack[number])


def test_rgb_of_imagej_is_colour(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", RGB, imagej=True, photometric="rgb")
    assert np.array_equal(read(tmp_path / "a.tif"), RGB)


def test_colour_that_tifffile_is_not_told_of_is_what_it_writes(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", RGB)
    assert np.array_equal(read(tmp_path / "a.tif"), RGB)


def test_pages_of_several_formats_are_asked_for(tmp_path):
    pages = [Image.fromarray(GREY), Image.fromarray(GREY.T.copy()), Image.fromarray(GREY[::-1].copy())]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=[pages[2]])
    with pytest.raises(InputError, match="holds 2 pages"):
        open_image(tmp_path / "a.tif")
    assert np.array_equal(read(tmp_path / "a.tif", 1), GREY[::-1])


def test_a_page_without_a_photometric_interpretation_is_grey_and_not_inverted(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata=None)
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data.replace(struct.pack("<HH", 262, 3), struct.pack("<HH", 65000, 3), 1))
    assert np.array_equal(read(tmp_path / "a.tif"), GREY)


# Palettes


def palette(path, table, image=GREY, **options):
    tifffile.imwrite(path, image, photometric="palette", colormap=np.stack(table).astype(np.uint16), **options)


HILO = np.stack([RAMP] * 3, axis=1)
HILO[0], HILO[255] = (0, 0, 65535), (65535, 0, 0)
FIRE = np.stack([np.clip(np.arange(256) * 3 - 256 * k, 0, 255) * 257 for k in (0, 1, 2)])


@pytest.mark.parametrize(
    "table",
    [[NOTHING, RAMP, NOTHING], [NOTHING, NOTHING, RAMP], [RAMP, NOTHING, RAMP], [RAMP] * 3, FIRE, list(HILO.T)],
    ids=["green", "blue", "magenta", "grey", "fire", "HiLo"],
)
def test_a_palette_that_grows_brighter_displays_intensities(tmp_path, table):
    palette(tmp_path / "a.tif", table)
    assert np.array_equal(read(tmp_path / "a.tif"), GREY)
    assert open_image(tmp_path / "a.tif").notes == ()


@pytest.mark.parametrize("sort", [False, True])
@pytest.mark.parametrize("channel", [None, 1, "blue"])
def test_the_palette_of_a_picture_is_applied(tmp_path, sort, channel):
    table = np.random.default_rng(4).integers(0, 256, (256, 3))
    table = table[np.argsort(table @ (299, 587, 114))] if sort else table
    palette(tmp_path / "a.tif", (table * 257).T)
    expected = table[GREY]
    assert np.array_equal(
        read(tmp_path / "a.tif", channel), {None: expected, 1: expected[..., 1], "blue": expected[..., 2]}[channel]
    )
    assert open_image(tmp_path / "a.tif").notes == ("its colour table is applied; it is read as RGB.",)
    assert np.array_equal(read_labels(tmp_path / "a.tif"), GREY)


@pytest.mark.parametrize("dark, bright", [((200, 30, 40), (20, 20, 20)), ((255, 255, 255), (0, 0, 0))])
def test_a_palette_of_two_colours(tmp_path, dark, bright):
    table = np.array([dark, bright], np.uint16)
    colormap = (320, 3, 6, tuple(table.T.ravel() * 257), True)
    tifffile.imwrite(tmp_path / "a.tif", GREY > 99, photometric="minisblack", extratags=[colormap], metadata=None)
    patch(tmp_path / "a.tif", 262, 3)
    assert np.array_equal(read(tmp_path / "a.tif"), table[(GREY > 99).astype(int)])


def test_the_palette_of_pillow(tmp_path):
    picture = Image.fromarray(RGB).quantize(200)
    picture.save(tmp_path / "a.tif")
    assert np.array_equal(read(tmp_path / "a.tif"), np.asarray(picture.convert("RGB")))


def test_a_page_of_a_palette_can_be_chosen(tmp_path):
    table = np.random.default_rng(4).integers(0, 256, (256, 3))
    stack = np.stack([GREY, GREY[::-1]])
    palette(tmp_path / "a.tif", (table * 257).T, stack, metadata=None)
    assert np.array_equal(read(tmp_path / "a.tif", 1), table[GREY[::-1]])


# YCbCr


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_ycbcr_as_stored_is_converted(tmp_path, compression, planar):
    stored = YCBCR if planar == "contig" else np.moveaxis(YCBCR, -1, 0)
    options = {"photometric": "ycbcr", "planarconfig": planar, "compression": compression, "subsampling": (1, 1)}
    tifffile.imwrite(tmp_path / "a.tif", stored, metadata=None, **options)
    assert near(read(tmp_path / "a.tif"), BACK, 1)
    assert near(read(tmp_path / "a.tif", "green"), BACK[..., 1], 1)
    source = open_image(tmp_path / "a.tif")
    assert np.array_equal(source.read(Window(3, 4, 20, 30)), read(tmp_path / "a.tif")[3:20, 4:30])


def test_subsampled_ycbcr_without_jpeg_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", YCBCR, photometric="ycbcr", subsampling=(1, 1), metadata=None)
    patch(tmp_path / "a.tif", 530, 2, 2)
    with pytest.raises(InputError, match=r"holds YCbCr colours, subsampled .*convert it to RGB"):
        open_image(tmp_path / "a.tif")


@pytest.mark.parametrize("photometric", ["ycbcr", "rgb"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_jpeg_in_tiff(tmp_path, photometric, tile):
    options = {"compression": "jpeg", "compressionargs": {"level": 98}, "subsampling": (1, 1), "tile": tile}
    stored = SMOOTH if photometric == "rgb" else np.asarray(Image.fromarray(SMOOTH).convert("YCbCr"))
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric=photometric, metadata=None, **options)
    assert near(read(tmp_path / "a.tif"), SMOOTH, 5)


@pytest.mark.parametrize(
    "compression, photometric", [(33003, "rgb"), (33003, "ycbcr"), (33005, "ycbcr"), (34712, "ycbcr")]
)
@pytest.mark.parametrize("transformed", [False, True])
def test_jpeg_2000_is_ycbcr_where_its_codestream_is(tmp_path, compression, photometric, transformed):
    tile = imagecodecs.jpeg2k_encode(RGB if transformed else YCBCR, level=0, codecformat="j2k", mct=transformed)
    options = {"shape": RGB.shape, "dtype": np.uint8, "tile": (32, 48), "compression": compression, "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", iter([tile]), photometric=photometric, **options)
    assert near(read(tmp_path / "a.tif"), RGB if transformed else BACK, 1)


def test_a_subsampled_jpeg_2000_is_converted_by_its_decoder(tmp_path):
    tile = bytearray(imagecodecs.jpeg2k_encode(YCBCR, level=0, codecformat="j2k", mct=False))
    place = tile.index(b"\xff\x51") + 40  # depth and subsampling of each component
    assert tile[place : place + 9] == bytes([7, 1, 1] * 3)
    tile[place : place + 9] = bytes([7, 1, 1, 7, 2, 1, 7, 2, 1])
    options = {"shape": RGB.shape, "dtype": np.uint8, "tile": (32, 48), "compression": 33003, "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", iter([bytes(tile)]), photometric="rgb", **options)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert colour_conversion(file.pages.first, "a") is None


@pytest.mark.parametrize("compression", [33005, 34712])
@pytest.mark.parametrize("transformed", [False, True])
def test_jpeg_2000_that_is_said_to_be_rgb_is_rgb(tmp_path, compression, transformed):
    tile = imagecodecs.jpeg2k_encode(RGB, level=0, codecformat="j2k", mct=transformed)
    options = {"shape": RGB.shape, "dtype": np.uint8, "tile": (32, 48), "compression": compression, "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", iter([tile]), photometric="rgb", **options)
    assert np.array_equal(read(tmp_path / "a.tif"), RGB)


# What is refused


@pytest.mark.parametrize(
    "photometric, samples, said",
    [
        (5, 4, "holds CMYK colours"),
        (8, 3, "holds CIELab colours"),
        (9, 3, "holds ICCLab colours"),
        (10, 3, "holds ITULab colours"),
        (8, 1, "holds CIELab colours"),
        (32845, 3, "holds LogLuv colours"),
        (32803, 1, "holds raw data of a camera"),
        (34892, 3, "holds raw data of a camera"),
        (51177, 1, "holds the colour model 51177"),
        (777, 3, "holds the colour model 777"),
    ],
)
def test_other_colour_models_are_refused(tmp_path, photometric, samples, said):
    image = np.zeros((32, 48, samples), np.uint8) if samples > 1 else GREY
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb" if samples > 2 else "minisblack", metadata=None)
    patch(tmp_path / "a.tif", 262, photometric)
    for reader in (open_image, read_image):
        with pytest.raises(InputError, match=f"a.tif: {said}; convert it to RGB"):
            reader(tmp_path / "a.tif")


# Labels are numbers: never inverted, never colours.


def test_label_images_are_read_as_stored(tmp_path):
    labels = np.arange(32 * 48).reshape(32, 48).astype(np.uint8)
    table = np.random.default_rng(4).integers(0, 65536, (3, 256))
    palette(tmp_path / "palette.tif", table, labels)
    tifffile.imwrite(tmp_path / "white.tif", labels, photometric="miniswhite")
    Image.fromarray(labels).convert("P").save(tmp_path / "grey.png")
    indexed = Image.fromarray(labels, "P")
    indexed.putpalette(table.T.astype(np.uint8).tobytes())
    indexed.save(tmp_path / "indexed.png")
    for name in ("palette.tif", "white.tif", "grey.png", "indexed.png"):
        assert np.array_equal(read_labels(tmp_path / name), labels), name
    assert read_image(tmp_path / "indexed.png").shape == (32, 48, 3)
    Image.fromarray(labels).save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg: is a JPEG, which does not preserve labels"):
        read_labels(tmp_path / "a.jpg")


# Orientation and units


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_reported(tmp_path, orientation):
    tifffile.imwrite(tmp_path / "a.tif", GREY, extratags=[(274, 3, 1, orientation, True)], metadata=None)
    assert np.array_equal(read(tmp_path / "a.tif"), GREY)
    said = (f"its orientation tag ({orientation}) is not applied: rows and columns are as stored.",)
    assert open_image(tmp_path / "a.tif").notes == (said if orientation > 1 else ())


@pytest.mark.parametrize("unit, size", [("micron", 0.5), ("MICROMETERS", 0.5), ("nm", 0.0005), ("\\u00C5", 0.00005)])
def test_units_of_imagej(tmp_path, unit, size):
    tifffile.imwrite(tmp_path / "a.tif", GREY, imagej=True, resolution=(2, 2), metadata={"unit": unit})
    assert open_image(tmp_path / "a.tif").pixel_size == pytest.approx((size, size))


@pytest.mark.parametrize("unit, size", [("nm", 0.0005), ("\u00c5", 0.00005), ("mm", None), ("pixel", None)])
def test_units_of_ome(tmp_path, unit, size):
    metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": unit}
    tifffile.imwrite(
        tmp_path / "a.ome.tif", GREY, metadata={**metadata, "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": unit}
    )
    source = open_image(tmp_path / "a.ome.tif")
    assert source.pixel_size == (pytest.approx((size, size)) if size else None)
    assert source.notes == ()


def test_an_unknown_unit_is_reported(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, imagej=True, resolution=(2, 2), metadata={"unit": "furlong"})
    source = open_image(tmp_path / "a.tif")
    assert source.pixel_size is None
    assert source.notes == (
        "its pixel size is in 'furlong', an unknown unit of length; give it in micrometres with --pixel-size.",
    )


# Windows of images that are too large to be read at once


@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_conversions_read_windows_too(tmp_path, monkeypatch, tile):
    monkeypatch.setattr(tiff_module, "WHOLE_BYTES", 100)
    table = np.random.default_rng(4).integers(0, 256, (256, 3))
    options = {"photometric": "palette", "colormap": (table.T * 257).astype(np.uint16), "rowsperstrip": 8}
    tifffile.imwrite(tmp_path / "a.tif", GREY, tile=tile, metadata=None, compression="zlib", **options)
    assert np.array_equal(open_image(tmp_path / "a.tif").read(Window(5, 6, 20, 30)), table[GREY[5:20, 6:30]])
    assert np.array_equal(open_image(tmp_path / "a.tif", 2).read(Window(5, 6, 20, 30)), table[GREY[5:20, 6:30]][..., 2])
