import numpy as np
import pytest
import tifffile

from nucseg.core.window import Window
from nucseg.images import tiff as tiff_module
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
