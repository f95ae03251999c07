"""Label images that tell nuclei apart, and those that do not."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.datasets.annotations.checks import check_label_image


def grid(rows: int, columns: int) -> NDArray[np.int32]:
    """Return nuclei of 4 x 4 pixels in rows and columns, 2 pixels apart."""
    numbers = np.arange(1, rows * columns + 1, dtype=np.int32).reshape(rows, columns)
    return np.pad(np.kron(numbers, np.pad(np.ones((4, 4), np.int32), 1)), 1)


@pytest.mark.parametrize(
    "labels, said",
    [
        (np.minimum(grid(4, 5), 2), "1 of 2 labels has several separate pieces"),  # a class map of a rare class
        (grid(4, 5) % 7 + (grid(4, 5) > 0), "7 of 7 labels have several separate pieces"),
        (grid(20, 15) % 256, "44 of 255 labels have several separate pieces"),  # 8 bits
        (np.minimum(grid(2, 2), 1) * 255, "has 4 separate areas that all have the value 255: this is a mask"),
        (grid(4, 5) + 1, "no pixel is 0, which is the background; label 1 covers 62 % of the image"),
        (np.where(grid(4, 5), grid(4, 5), 65535), "no pixel is 0, .*; label 65535 covers"),
        (np.where(grid(4, 5), 0, 255), "label 255 covers 62 % of the image and most of its border"),
    ],
)
def test_labels_that_do_not_tell_nuclei_apart_are_refused(labels: NDArray, said: str) -> None:
    with pytest.raises(InputError, match=rf"^a\.tif: {said}"):
        check_label_image(labels.astype(np.int32), "a.tif")


@pytest.mark.parametrize("shape, times", [((128, 128), 1), ((64, 64), 200)])
def test_an_image_is_no_label_image(draw_nuclei: Callable, shape: tuple[int, int], times: int) -> None:
    image = draw_nuclei(shape, 8, seed=1)[0].astype(np.int32) * times
    image += np.random.default_rng(0).integers(0, times, shape, np.int32)
    with pytest.raises(InputError, match="an image"):
        check_label_image(image, "a.tif")


def test_label_images_that_are_odd_but_right_are_read() -> None:
    full = np.kron(np.arange(1, 10, dtype=np.int32).reshape(3, 3), np.ones((5, 5), np.int32))
    specks = np.zeros((20, 20), np.int32)
    specks[2:8, 2:8], specks[10:16, 2:8], specks[12, 15], specks[17, 15] = 1, 2, 1, 2
    crop = np.pad(np.ones((8, 8), np.int32), 1)
    crop[0, 3:6] = crop[-1, 3:6] = crop[3:6, 0] = crop[3:6, -1] = 1  # touches all borders
    corner = np.zeros((9, 9), np.int32)
    corner[:4, :4], corner[4, 4] = 1, 1
    for labels in (full, specks, crop, corner, np.zeros((5, 5), np.int32)):
        assert check_label_image(labels, "a.tif") == []


def test_a_few_labels_in_pieces_are_named() -> None:
    labels = grid(4, 5)
    labels[labels == 7] = 1
    labels[labels == 9] = 1
    assert check_label_image(labels, "a.tif") == ["label 1 has 3 separate pieces; it is read as one nucleus"]
    labels[labels == 20] = 2
    said = "labels 1, 2 have several separate pieces; each is read as one nucleus"
    assert check_label_image(labels, "a.tif") == [said]
