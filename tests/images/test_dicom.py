import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("wsidicom", reason="the extra dicom is not installed")

from dicom_slides import write_dicom
from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.find import find_images
from nucseg.images.open import open_image
from slides import halved

IMAGE = np.random.default_rng(0).integers(0, 256, (200, 330, 3), dtype=np.uint8)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_dicom(tmp_path / "slide", halved(IMAGE, 2), 0.25)


@pytest.mark.parametrize("given", [0, 2, None])
def test_a_folder_and_any_file_of_it_are_the_whole_slide(files, given):
    source = open_image(files[0].parent if given is None else files[given])
    np.testing.assert_array_equal(source.read(Window(10, 20, 150, 300)), IMAGE[10:150, 20:300])
    assert source.pixel_size == pytest.approx((0.25, 0.25))
    assert [level.shape for level in source.levels] == [(100, 165, 3), (50, 82, 3)]
    np.testing.assert_array_equal(source.levels[0].read(Window(5, 6, 70, 80)), halved(IMAGE, 1)[1][5:70, 6:80])
    red = open_image(files[0], "red")
    np.testing.assert_array_equal(red.read(Window(0, 0, 30, 40)), IMAGE[:30, :40, 0])
    assert red.levels[1].shape == (50, 82)


def test_a_folder_of_it_is_one_image(files, tmp_path):
    (image,) = find_images([str(files[0].parent)]).images
    assert (image.name, image.error) == ("slide", None)
    write_dicom(tmp_path / "other", [IMAGE], 0.5)
    assert [each.name for each in find_images([str(tmp_path / "*")]).images] == ["other", "slide"]


def test_two_slides_in_a_folder_are_named(files):
    write_dicom(files[0].parent, halved(IMAGE, 1)[1:], 0.5)  # replaces the first file
    with pytest.raises(InputError, match=r"holds 2 slides; give a file of one of them \(0.dcm, 1.dcm\)"):
        open_image(files[0].parent)
    assert open_image(files[1]).shape == (100, 165, 3)


def test_what_is_no_slide_is_refused_in_a_line(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"x" * 200)
    with pytest.raises(InputError, match=r"a.dcm: cannot be read") as said:
        open_image(tmp_path / "a.dcm")
    assert "\n" not in str(said.value)


def test_without_the_reader_the_extra_is_named(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "wsidicom", None)
    with pytest.raises(InputError, match=r"pip install 'nucseg\[dicom\]'"):
        open_image(files[0])
