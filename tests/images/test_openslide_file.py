import sys
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.open import open_image
from nucseg.images.openslide_file import open_slide
from slides import break_tile, write_slide

openslide = pytest.importorskip("openslide", reason="the extra openslide is not installed")

ROWS, COLUMNS = np.mgrid[:400, :660]
IMAGE = np.dstack([ROWS // 2, COLUMNS // 3, (ROWS + COLUMNS) // 5]).astype(np.uint8)
JPEG = {"compression": "jpeg", "compressionargs": {"level": 95}, "side": 128}


def test_it_reads_what_tifffile_reads(tmp_path):
    path = write_slide(tmp_path, IMAGE, 0.25, times=1, **JPEG)
    found, expected = open_slide(path, str(path)).image(), open_image(path)
    assert found.shape == expected.shape
    assert found.pixel_size == pytest.approx((0.25, 0.25))
    assert [level.shape for level in found.levels] == [level.shape for level in expected.levels]
    for one, other in zip((found, *found.levels), (expected, *expected.levels), strict=True):
        window = Window(10, 20, 190, 320)
        assert np.abs(one.read(window).astype(int) - other.read(window)).max() <= 2
    blue = open_slide(path, str(path)).image("blue")
    np.testing.assert_array_equal(blue.read(Window(0, 0, 50, 60)), found.read(Window(0, 0, 50, 60))[..., 2])


def test_a_broken_tile_is_left_out_and_the_rest_is_read(tmp_path):
    path = write_slide(tmp_path, IMAGE, 0.25, times=1, **JPEG)
    break_tile(path, 0, (10, 10))
    source = open_slide(path, str(path)).image()
    pixels = source.read(Window.whole(source.shape))
    assert (pixels[:128, :128] == 255).all()
    assert np.abs(pixels[:, 520:].astype(int) - IMAGE[:, 520:]).mean() < 3
    assert "rows 0 to 511, columns 0 to 511" in source.incomplete


class Scanned:
    """What openslide.OpenSlide offers of a slide of which a part was scanned, on a blue background."""

    dimensions = (1000, 800)
    level_count = 2
    level_downsamples = (1.0, 4.0)
    properties: ClassVar = {
        "openslide.bounds-x": "200",
        "openslide.bounds-y": "100",
        "openslide.bounds-width": "600",
        "openslide.bounds-height": "400",
        "openslide.background-color": "0000ff",
        "openslide.mpp-x": "0.25",
        "openslide.mpp-y": "0.24",
    }

    def __init__(self, path):
        pass

    def read_region(self, place, level, size):
        picture = np.zeros((size[1], size[0], 4), np.uint8)
        left, top = place
        step = 4**level
        picture[..., 0] = (left + step * np.arange(size[0])) // 4
        picture[..., 1] = ((top + step * np.arange(size[1])) // 4)[:, None]
        picture[..., 3] = 255
        picture[0, 0] = 0  # nothing is here
        return Image.fromarray(picture)


def test_what_lies_in_the_bounds_is_the_image(tmp_path, monkeypatch):
    monkeypatch.setattr(openslide, "OpenSlide", Scanned)
    (tmp_path / "a.mrxs").write_bytes(b"")
    source = open_image(tmp_path / "a.mrxs")
    assert (source.shape, source.pixel_size) == ((400, 600, 3), (0.24, 0.25))
    assert [level.shape for level in source.levels] == [(100, 150, 3)]
    pixels = source.read(Window(0, 40, 8, 60))
    assert pixels[0, 0].tolist() == [0, 0, 255]
    assert pixels[0, 4].tolist() == [(200 + 44) // 4, 25, 0]
    assert source.levels[0].read(Window(2, 3, 9, 9))[1, 1].tolist() == [(200 + 16) // 4, (100 + 12) // 4, 0]


def test_what_it_cannot_read_is_refused_in_a_line(tmp_path):
    (tmp_path / "a.mrxs").write_bytes(b"no slide")
    with pytest.raises(InputError, match=r"a.mrxs: cannot be read by OpenSlide") as said:
        open_image(tmp_path / "a.mrxs")
    assert "\n" not in str(said.value)
    with pytest.raises(InputError, match="no such file"):
        open_image(tmp_path / "b.mrxs")


def test_overlapping_tiles_of_ventana_are_its_part(tmp_path, monkeypatch):
    path = write_slide(tmp_path, IMAGE, 0.25, scanner="bif", overlap=51)
    monkeypatch.setattr(openslide, "OpenSlide", Scanned)
    assert open_image(path).shape == (400, 600, 3)


def test_without_the_reader_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.mrxs").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(InputError, match=r"pip install 'nucseg\[openslide\]'"):
        open_image(tmp_path / "a.mrxs")
