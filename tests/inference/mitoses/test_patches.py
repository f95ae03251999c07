import numpy as np
import pytest

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.geometry import resize_image
from nucseg.images.source import ImageSource, array_source
from nucseg.inference.mitoses.patches import PatchReader, check_colours, check_slide


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def test_patches_at_the_pixel_size_of_the_classifier_are_pixels_of_the_slide(image) -> None:
    reader = PatchReader(array_source(image, pixel_size=(0.251, 0.249)), 8, 0.25)
    # The centre of a patch of 8 lies between its 4th and 5th pixel, and that of pixel 20 at 20.
    patches = reader.patches(np.array([[20.0, 31.0], [40.5, 60.5]]))
    np.testing.assert_array_equal(patches[0], image[17:25, 28:36])
    np.testing.assert_array_equal(patches[1], image[37:45, 57:65])


def test_patches_are_reflected_at_every_border(image) -> None:
    reader = PatchReader(array_source(image, pixel_size=(0.25, 0.25)), 8, 0.25)
    mirrored = np.pad(image, ((8, 8), (8, 8), (0, 0)), mode="reflect")
    centres = np.array([[0.0, 0.0], [89.0, 119.0], [1.0, 118.0], [40.0, 0.0]])
    patches = reader.patches(centres)
    for patch, (row, column) in zip(patches, centres.astype(int), strict=True):
        np.testing.assert_array_equal(patch, mirrored[row + 5 : row + 13, column + 5 : column + 13])


def test_a_slide_smaller_than_a_patch_is_reflected_more_than_once() -> None:
    image = np.arange(5, dtype=np.uint8).reshape(1, 5, 1).repeat(3, 2)
    patch = PatchReader(array_source(image, pixel_size=(0.25, 0.25)), 16, 0.25).patches(np.array([[0.0, 2.0]]))[0]
    assert patch.shape == (16, 16, 3)
    assert patch[3, :, 0].tolist() == [3, 4, 3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2]


@pytest.mark.parametrize("pixel_size", [(0.5, 0.5), (0.125, 0.125), (0.3, 0.4)])
def test_other_pixel_sizes_are_resampled_as_the_whole_slide_would_be(image, pixel_size) -> None:
    shape = (round(90 * pixel_size[0] / 0.25), round(120 * pixel_size[1] / 0.25))
    whole = np.pad(np.rint(resize_image(image.astype(np.float32), shape)), ((8, 8), (8, 8), (0, 0)), mode="reflect")
    reader = PatchReader(array_source(image, pixel_size=pixel_size), 8, 0.25)
    for centre in np.array([[10.0, 13.0], [88.0, 3.0], [44.0, 61.0]]):
        top, left = np.floor((centre + 0.5) * shape / (90, 120) - 4 + 0.5).astype(int) + 8
        np.testing.assert_array_equal(reader.patches(centre[None])[0], whole[top : top + 8, left : left + 8])


def test_only_what_is_around_the_centres_is_read(image) -> None:
    windows: list[Window] = []

    def read(window: Window) -> np.ndarray:
        windows.append(window)
        return image[window.slices]

    source = ImageSource("slide", image.shape, image.dtype, read, (0.25, 0.25))
    reader = PatchReader(source, 8, 0.25)
    assert reader.patches(np.zeros((0, 2))).shape == (0, 8, 8, 3)
    reader.patches(np.array([[30.0, 40.0], [31.0, 50.0]]))
    assert windows == [Window(26, 36, 37, 56)]


def test_an_alpha_channel_is_left_out(image) -> None:
    with_alpha = np.dstack([image, np.full(image.shape[:2], 9, np.uint8)])
    patch = PatchReader(array_source(with_alpha, pixel_size=(0.25, 0.25)), 8, 0.25).patches(np.array([[20.0, 31.0]]))
    np.testing.assert_array_equal(patch[0], image[17:25, 28:36])


@pytest.mark.parametrize(
    "dtype, shape, pixel_size, said",
    [
        ("u1", (8, 8), (0.25, 0.25), "slide: is a grey image. .* use the colour scan"),
        ("u2", (8, 8, 3), (0.25, 0.25), "slide: has pixels of dtype uint16; .* RGB of 8 bits"),
        ("u1", (8, 8, 3), None, "slide: its pixel size is unknown, .* at 0.25 µm per pixel; give it .* --pixel-size"),
        ("u1", (8, 8, 3), (352.8, 352.8), "slide: its pixel size is 352.8 µm; .* from 0.08 to 1 µm per pixel"),
        ("u1", (8, 8, 3), (0.25, 0.002), "slide: its pixel size is 0.25 x 0.002 µm;"),
    ],
)
def test_what_is_no_slide_is_refused_in_one_line(dtype, shape, pixel_size, said) -> None:
    with pytest.raises(InputError, match=said) as caught:
        check_slide(array_source(np.zeros(shape, dtype), "slide", pixel_size), 0.25)
    assert "\n" not in str(caught.value)


def test_a_coarse_slide_is_reported() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    assert check_slide(array_source(image, pixel_size=(0.25, 0.25)), 0.25) == ()
    (note,) = check_slide(array_source(image, pixel_size=(0.5, 0.5)), 0.25)
    assert "0.5 µm per pixel is coarser than the 0.25 µm" in note


def test_colours_of_one_channel_are_refused() -> None:
    check_colours("slide", 3)
    with pytest.raises(InputError, match="slide: its colours are those of a grey image or of one stain"):
        check_colours("slide", 1)
