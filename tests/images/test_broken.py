"""Slides with broken tiles: the rest is read, and they are named."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.io import read_image
from nucseg.images.open import open_image
from slides import break_tile, halved, write_slide

ROWS, COLUMNS = np.mgrid[:200, :330]
IMAGE = np.dstack([ROWS, COLUMNS // 2, (ROWS + COLUMNS) // 3]).astype(np.uint8)


@pytest.fixture
def slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("nucseg.images.tiff.WHOLE_BYTES", 0)
    return write_slide(tmp_path, IMAGE, 0.25, compression="jpeg", compressionargs={"level": 100})


def test_a_broken_tile_is_blank_and_named_and_the_rest_is_as_stored(slide):
    expected = open_image(slide).read(Window.whole(IMAGE.shape))
    break_tile(slide, 0, (70, 200))
    source = open_image(slide)
    assert source.incomplete is None
    np.testing.assert_array_equal(source.read(Window(0, 0, 64, 330)), expected[:64])
    assert source.incomplete is None
    expected[64:128, 192:256] = 255
    np.testing.assert_array_equal(source.read(Window(10, 20, 190, 320)), expected[10:190, 20:320])
    said = "a tile is broken and was left out, so that nuclei may be missing: rows 64 to 127, columns 192 to 255 ("
    assert source.incomplete.startswith(f"{slide}: {said}")
    assert "\n" not in source.incomplete
    with pytest.raises(InputError, match="rows 64 to 127, columns 192 to 255"):
        read_image(slide)


def test_a_broken_tile_of_a_level_is_named_with_it(slide):
    break_tile(slide, 1, (70, 10))
    source = open_image(slide)
    (level, _) = source.levels
    found = level.read(Window.whole(level.shape))
    assert (found[64:100, :64] == 255).all()
    assert np.abs(found[:64].astype(int) - halved(IMAGE, 1)[1][:64]).mean() < 5
    assert "rows 64 to 127, columns 0 to 63 of level 1" in source.incomplete


def test_a_file_that_cannot_be_decoded_at_all_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("nucseg.images.tiff.WHOLE_BYTES", 0)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((160, 1120), np.uint8), tile=(16, 16), compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages[0]
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    with (tmp_path / "a.tif").open("r+b") as file:
        for start, count in places:
            file.seek(start)
            file.write(b"\xff" * count)
    source = open_image(tmp_path / "a.tif")
    with pytest.raises(InputError, match="most of its tiles cannot be read"):
        source.read(Window.whole(source.shape))
