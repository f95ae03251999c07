"""Slides as scanners write them: the image, its levels and its pixel size."""

import numpy as np
import pytest

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.open import open_image
from slides import WRITERS, halved, write_slide

IMAGE = np.random.default_rng(3).integers(0, 256, (200, 332, 3), dtype=np.uint8)


@pytest.mark.parametrize("scanner", WRITERS)
@pytest.mark.parametrize("whole_bytes", [2**27, 0])
def test_the_image_its_levels_and_its_pixel_size(tmp_path, monkeypatch, scanner, whole_bytes):
    monkeypatch.setattr("nucseg.images.tiff.WHOLE_BYTES", whole_bytes)
    source = open_image(write_slide(tmp_path, IMAGE, 0.24, scanner=scanner))
    assert np.array_equal(source.read(Window(40, 60, 150, 310)), IMAGE[40:150, 60:310])
    assert source.pixel_size == pytest.approx((0.24, 0.24))
    assert [level.shape for level in source.levels] == [(100, 166, 3), (50, 83, 3)]
    for level, pixels in zip(source.levels, halved(IMAGE, 2)[1:], strict=True):
        assert np.array_equal(level.read(Window(10, 20, 45, 80)), pixels[10:45, 20:80])
    ignored = {"svs": "its macro is ignored.", "ndpi": "its macro is ignored.", "scn": "its macro is ignored."}
    assert ignored.get(scanner, "its label is ignored.") in source.notes


def test_a_slide_whose_tiles_overlap_is_not_read_without_stitching(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"tiles overlap.*pip install 'nucseg\[openslide\]'"):
        open_image(write_slide(tmp_path, IMAGE, 0.25, scanner="bif", overlap=51))


def test_a_small_image_with_levels_is_no_slide(tmp_path, monkeypatch):
    source = open_image(write_slide(tmp_path, IMAGE, 0.25))
    assert not source.is_slide
    monkeypatch.setattr("nucseg.images.source.SLIDE_PIXELS", 60_000)
    assert source.is_slide


def test_a_smaller_picture_of_another_part_is_no_level(tmp_path):
    path = tmp_path / "a.svs"
    WRITERS["svs"](path, [IMAGE, IMAGE[:96, :128]], 0.25, tile=(64, 64), photometric="rgb", metadata=None)
    assert open_image(path).levels == ()
