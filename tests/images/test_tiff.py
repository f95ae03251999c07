import numpy as np
import pytest
import tifffile

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images import tiff as tiff_module
from nucseg.images.io import read_image
from nucseg.images.open import open_image


@pytest.fixture
def channels(tmp_path):
    """Six channels of 200 x 300 pixels, each a page of its own, compressed."""
    image = np.random.default_rng(0).integers(0, 2**16, (6, 200, 300), np.uint16)
    path = tmp_path / "channels.ome.tif"
    tifffile.imwrite(path, image, metadata={"axes": "CYX"}, compression="zlib", rowsperstrip=20)
    return path, image


@pytest.mark.parametrize("whole_bytes", [10**9, 150_000, 1000])
def test_one_channel_is_read_whatever_the_size(channels, monkeypatch, whole_bytes):
    monkeypatch.setattr(tiff_module, "WHOLE_BYTES", whole_bytes)
    path, image = channels
    source = open_image(path, "4")
    assert source.shape == (200, 300)
    np.testing.assert_array_equal(source.read(Window.whole(source.shape)), image[4])
    np.testing.assert_array_equal(source.read(Window(30, 40, 90, 100)), image[4, 30:90, 40:100])


def test_the_other_channels_are_not_read(channels, monkeypatch):
    monkeypatch.setattr(tiff_module, "WHOLE_BYTES", 150_000)
    decoded = []
    decode = tifffile.TiffPage.decode.func

    def counting(page):
        def counted(data, index, **options):
            decoded.append(page.index)
            return inner(data, index, **options)

        inner = decode(page)
        return counted

    monkeypatch.setattr(tifffile.TiffPage, "decode", property(counting))
    path, image = channels
    source = open_image(path, "4")
    np.testing.assert_array_equal(source.read(Window.whole(source.shape)), image[4])
    assert len(decoded) == 10  # the strips of one channel


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_window_of_a_mapped_file_is_a_copy_in_native_order(tmp_path, monkeypatch, byteorder):
    """What is changed in the file afterwards is not seen."""
    monkeypatch.setattr(tiff_module, "WHOLE_BYTES", 1000)
    image = np.random.default_rng(0).integers(0, 2**16, (60, 80), np.uint16)
    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, image, byteorder=byteorder)
    source = open_image(path)
    pixels = source.read(Window(10, 20, 50, 70))
    tifffile.memmap(path, mode="r+")[...] = 0
    np.testing.assert_array_equal(pixels, image[10:50, 20:70])
    assert pixels.dtype == source.dtype == np.dtype(np.uint16)
    assert not source.read(Window.whole(source.shape)).any()


@pytest.mark.parametrize(
    "layout, tags, said",
    [
        ({"tile": (16, 16)}, (324, 325), "lacks 5 of its 16 tiles"),
        ({"tile": (16, 16), "compression": "zlib"}, (324, 325), "lacks 5 of its 16 tiles"),
        ({"rowsperstrip": 4}, (273, 279), "lacks 5 of its 16 strips"),
        ({"compression": "zlib"}, (273, 279), "lacks 1 of its 1 strips"),
    ],
)
@pytest.mark.parametrize("tag", [0, 1], ids=["offset", "bytes"])
def test_what_lacks_tiles_or_strips_is_refused(tmp_path, layout, tags, tag, said):
    image = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, **layout)
    assert np.array_equal(read_image(tmp_path / "a.tif"), image)
    overwrite(tmp_path / "a.tif", tags[tag])
    for read in (open_image, read_image):
        with pytest.raises(InputError, match=f"a.tif: {said}; "):
            read(tmp_path / "a.tif")


def test_one_bare_strip_needs_no_count_of_bytes(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image)
    overwrite(tmp_path / "a.tif", 279)
    assert np.array_equal(read_image(tmp_path / "a.tif"), image)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint8, np.uint16])
def test_where_0_is_white_the_order_is_reversed_over_the_whole_range(tmp_path, dtype):
    span = np.iinfo(dtype)
    image = np.linspace(span.min, span.max, 12).astype(dtype).reshape(3, 4)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="miniswhite")
    read = read_image(tmp_path / "a.tif")
    assert read.dtype == dtype
    assert np.array_equal(read.astype(np.int64), span.max + span.min - image.astype(np.int64))


def test_the_inversion_of_values_is_told(tmp_path):
    image = np.zeros((20, 30), np.uint8)
    for photometric in ("miniswhite", "minisblack"):
        tifffile.imwrite(tmp_path / f"{photometric}.tif", image, photometric=photometric)
    told = ("0 is white in it, so its values are inverted, also those that are measured.",)
    assert open_image(tmp_path / "miniswhite.tif").notes == told
    assert open_image(tmp_path / "minisblack.tif").notes == ()


def overwrite(path, tag):
    """Set the first five values of a tag to 0."""
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        values = list(np.atleast_1d(tiff.pages[0].tags[tag].value))
        tiff.pages[0].tags[tag].overwrite([0] * min(5, len(values)) + [int(each) for each in values[5:]])
