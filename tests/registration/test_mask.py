import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

from nucseg.core.errors import InputError
from nucseg.registration.mask import read_mask


@pytest.fixture
def marks():
    mask = np.zeros((60, 80), bool)
    mask[5:15, 5:15] = mask[5:15, 40:52] = mask[30:44, 8:16] = True
    return mask


@pytest.mark.parametrize("value", [1, 255])
def test_black_and_white(tmp_path, marks, value):
    for name in ("m.png", "m.tif"):
        Image.fromarray((marks * value).astype(np.uint8)).save(tmp_path / name)
        np.testing.assert_array_equal(read_mask(tmp_path / name), marks)


def test_one_bit_palette_and_colours_that_are_grey(tmp_path, marks):
    Image.fromarray(marks).save(tmp_path / "bit.png")
    palette = Image.fromarray(marks.astype(np.uint8), "P")
    palette.putpalette([0, 0, 0, 200, 30, 30])
    palette.save(tmp_path / "palette.png")
    Image.fromarray(np.repeat((marks * 255).astype(np.uint8)[..., None], 3, axis=2)).save(tmp_path / "grey.png")
    for name in ("bit.png", "palette.png", "grey.png"):
        np.testing.assert_array_equal(read_mask(tmp_path / name), marks, name)


def test_labels_stay_apart(tmp_path, marks):
    labels = marks.astype(np.uint16)
    labels[:, 10:] *= 7
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    np.testing.assert_array_equal(read_mask(tmp_path / "labels.tif"), labels)


def test_probabilities_need_a_threshold(tmp_path, marks):
    probabilities = gaussian_filter(marks.astype(np.float32), 1.5)
    tifffile.imwrite(tmp_path / "p.tif", probabilities)
    Image.fromarray((probabilities * 255).astype(np.uint8)).save(tmp_path / "p.png")
    tifffile.imwrite(tmp_path / "p16.tif", (probabilities * 65535).astype(np.uint16))
    for name in ("p.tif", "p.png", "p16.tif"):
        with pytest.raises(InputError, match="--threshold"):
            read_mask(tmp_path / name)
        np.testing.assert_array_equal(read_mask(tmp_path / name, 0.5), marks & (probabilities >= 0.5), name)


def test_a_class_map_of_several_classes_is_refused(tmp_path):
    classes = np.kron(np.arange(48).reshape(6, 8) % 3, np.ones((6, 6))).astype(np.uint8)
    Image.fromarray(classes).save(tmp_path / "classes.png")
    with pytest.raises(InputError, match="2 values besides 0"):
        read_mask(tmp_path / "classes.png")


def test_what_is_no_mask_is_refused(tmp_path, marks):
    colours = np.repeat((marks * 255).astype(np.uint8)[..., None], 3, axis=2)
    colours[..., 1] = 20
    Image.fromarray(colours).save(tmp_path / "overlay.png")
    with pytest.raises(InputError, match="in colour"):
        read_mask(tmp_path / "overlay.png")
    tifffile.imwrite(tmp_path / "scores.tif", marks * np.float32(3))
    with pytest.raises(InputError, match="from 0 to 3"):
        read_mask(tmp_path / "scores.tif", 0.5)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(InputError, match=r"text\.png"):
        read_mask(tmp_path / "text.png")
    with pytest.raises(InputError, match=r"nothing\.png"):
        read_mask(tmp_path / "nothing.png")
