from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nucseg.core.errors import InputError
from nucseg.images.io import read_image, read_labels
from nucseg.napari_plugin import train
from nucseg.napari_plugin.train import add_correction, start_training, train_on_this


def test_corrections_become_files_that_a_training_reads(tmp_path: Path, layer: Callable, draw_nuclei: Callable) -> None:
    image, labels = draw_nuclei((64, 64), 5, seed=1)
    stack = np.stack([image, image[::-1]])
    assert add_correction(layer(stack, "well A/1"), layer(np.stack([labels, labels[::-1]])), tmp_path, "1") == 1
    np.testing.assert_array_equal(read_image(tmp_path / "images/well A_1-1.tif"), image[::-1])
    np.testing.assert_array_equal(read_labels(tmp_path / "labels/well A_1-1.tif"), labels[::-1])
    empty = np.zeros_like(labels)
    assert add_correction(layer(stack, "well A/1"), layer(np.stack([labels, empty])), tmp_path, "1") == 1
    assert read_labels(tmp_path / "labels/well A_1-1.tif").max() == 0
    assert add_correction(layer(image, "b"), layer(labels), tmp_path, "") == 2


def test_what_does_not_fit_is_one_error_and_nothing_is_written(tmp_path: Path, layer: Callable) -> None:
    image, labels = np.full((8, 8), 7, np.uint8), np.zeros((8, 8), np.int32)
    for given, nuclei, said in (
        (image, labels[:4], r"is of \(4, 8\) pixels, and image of \(8, 8\)"),
        (image.astype(np.float32), labels, "is of the type float32; convert the layer to 8 or 16 bits"),
    ):
        with pytest.raises(InputError, match=said):
            add_correction(layer(given), layer(nuclei, "labels"), tmp_path, "")
    assert list(tmp_path.iterdir()) == []
    add_correction(layer(image), layer(labels), tmp_path, "")
    with pytest.raises(InputError, match="is another image of the same name; rename the layer"):
        add_correction(layer(image + 1), layer(labels), tmp_path, "")


def test_too_few_corrections_start_no_training(
    tmp_path: Path, layer: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    started: list[tuple] = []
    monkeypatch.setattr(train, "_say", said.append)
    monkeypatch.setattr(train, "start_training", lambda *arguments: started.append(arguments[:4]))
    for number in range(5):
        image = np.full((8, 8), number, np.uint8)
        train_on_this(layer(image, f"image {number}"), layer(np.zeros((8, 8), np.int32)), tmp_path, "mine", minutes=3)
    assert said[3] == f"{tmp_path} has 4 of the 5 images that a training needs; correct further ones."
    assert said[4].startswith("Training mine on 5 images, for at most 3 minutes")
    assert started == [(tmp_path, "mine", "stardist", 3)]


def test_how_a_training_ended_is_said(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    said: list[str] = []
    start_training(tmp_path, "my model", "stardist", 1, said.append).join(120)
    (line,) = said
    assert line == "Error: --name: 'my model' is not allowed; use letters, digits, '_', '.' and '-'."
    assert line in (tmp_path / "training-my_model.txt").read_text()
