import numpy as np
import pytest

from nucseg.core.checks import check_image, check_label_image, check_unmasked
from nucseg.core.errors import InputError


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4), (1, 1)])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int32", "int64", "float16", "float64"])
def test_images_pass(shape, dtype):
    check_image(np.ones(shape, dtype), "a.tif")


@pytest.mark.parametrize(
    "image, message",
    [
        (np.zeros(5), r"a\.tif: shape \(5,\) is not an image"),
        (np.zeros((4, 5, 2)), "1, 3 or 4 channels"),
        (np.zeros((2, 4, 5, 3)), "Choose one plane"),
        (np.zeros((0, 5)), "is empty"),
        (np.zeros((4, 5, 3))[:, :0], "is empty"),
        (np.zeros((4, 5), complex), "dtype complex128"),
        (np.zeros((4, 5), "U1"), "dtype"),
        (np.zeros((4, 5), object), "dtype object"),
        (np.array([[np.nan, 0.0]]), "NaN, infinite"),
        (np.array([[0.0, np.nan]]), "NaN, infinite"),
        (np.array([[0.0, -np.inf]]), "NaN, infinite"),
        (np.array([[0.0, np.inf]], np.float16), "NaN, infinite"),
        (np.array([[0.0, -1e300]]), "beyond float32"),
    ],
)
def test_what_is_no_image_is_refused(image, message):
    with pytest.raises(InputError, match=message):
        check_image(image, "a.tif")


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint32", "int32", "int64"])
def test_label_images_pass(dtype):
    check_label_image(np.array([[0, 1]], dtype), "a.tif")


def test_gaps_in_a_label_image_pass():
    check_label_image(np.array([[0, 70_000]]), "a.tif")


@pytest.mark.parametrize(
    "labels, message",
    [
        (np.zeros((4, 5, 3), int), r"a\.tif: shape \(4, 5, 3\)"),
        (np.zeros((0, 5), int), "shape"),
        (np.zeros((4, 5)), "dtype float64"),
        (np.array([[0, -1]]), "negative label -1"),
    ],
)
def test_what_is_no_label_image_is_refused(labels, message):
    with pytest.raises(InputError, match=message):
        check_label_image(labels, "a.tif")


def test_masked_pixels_are_refused():
    pixels = np.ma.masked_less(np.arange(12).reshape(3, 4), 5)
    with pytest.raises(
        InputError, match=r"^image: is a masked array with 5 masked pixels; fill them first \(`\.filled"
    ):
        check_unmasked(pixels, "image")
    check_unmasked(np.ma.masked_less(pixels.data, 0), "image")
    check_unmasked("a.tif", "image")
