from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.datasets.bbbc038 import raw_samples

Draw = Callable[..., tuple[NDArray, NDArray]]


def read_all(archive: Path) -> dict[str, tuple[NDArray, NDArray, int]]:
    return {sample.image_id: sample.read() for sample in raw_samples(archive)}


def test_reads_image_and_masks(bbbc038_zip: Path, draw_nuclei: Draw) -> None:
    read = read_all(bbbc038_zip)

    assert list(read) == ["aa", "bb", "cc", "dd"]
    image, labels, n_overlap = read["dd"]
    expected_image, expected_labels = draw_nuclei((72, 96), 8, seed=3, modality="histology")
    assert np.array_equal(image[..., :3], expected_image)
    assert n_overlap == 0
    # The same nuclei, whatever their numbers.
    assert np.array_equal(labels > 0, expected_labels > 0)
    pairs = set(zip(labels[labels > 0].tolist(), expected_labels[labels > 0].tolist(), strict=True))
    assert len(pairs) == labels.max() == 8


def test_samples_may_go_to_any_split(bbbc038_zip: Path) -> None:
    assert {sample.splits for sample in raw_samples(bbbc038_zip)} == {("train", "val", "test")}


def test_overlap_goes_to_the_smaller_nucleus_and_is_counted(make: SimpleNamespace, tmp_path: Path) -> None:
    large, small = np.zeros((2, 8, 8), np.uint8)
    large[:6, :6] = 255
    small[4:8, 4:8] = 255
    entries = {"a/images/a.png": make.png(np.zeros((8, 8, 4), np.uint8))}
    entries |= {"a/masks/1.png": make.png(large), "a/masks/2.png": make.png(small)}

    _, labels, n_overlap = read_all(make.zip(tmp_path / "a.zip", entries))["a"]

    assert n_overlap == 4
    assert np.bincount(labels.ravel())[1:].tolist() == [32, 16]


def test_accepts_a_folder_above_and_foreign_files(make: SimpleNamespace, tmp_path: Path, draw_nuclei: Draw) -> None:
    entries = make.bbbc038_entries("a", *draw_nuclei((48, 48), 2))
    entries = {f"stage1_train/{name}": content for name, content in entries.items()}
    entries |= {"stage1_train/a/masks/.DS_Store": b"x", "__MACOSX/a/masks/._1.png": b"x", "stage1_train/": b""}

    assert list(read_all(make.zip(tmp_path / "a.zip", entries))) == ["a"]


def test_coloured_masks_count_where_any_channel_is_set(make: SimpleNamespace, tmp_path: Path) -> None:
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[..., 3] = 255
    mask[1, 1, 0] = mask[2, 2, 2] = 255
    entries = {"a/images/a.png": make.png(np.zeros((4, 4, 3), np.uint8)), "a/masks/1.png": make.png(mask)}

    _, labels, _ = read_all(make.zip(tmp_path / "a.zip", entries))["a"]

    assert np.argwhere(labels).tolist() == [[1, 1], [2, 2]]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"a/images/a.png": None}, "has 0 images"),
        ({"a/images/b.png": b"x"}, "has 2 images"),
        ({"a/masks/m001.png": None, "a/masks/m002.png": None}, "has no masks"),
        ({"a/images/a.png": b"no image"}, "a/images/a.png: is not a TIFF, PNG or JPEG"),
        ({"a/masks/m001.png": b"\x89PNG\r\n"}, "a/masks/m001.png: cannot be read"),
    ],
)
def test_a_broken_sample_says_why(
    change: dict[str, bytes | None], message: str, make: SimpleNamespace, tmp_path: Path, draw_nuclei: Draw
) -> None:
    entries = make.bbbc038_entries("a", *draw_nuclei((48, 48), 2)) | change
    archive = make.zip(tmp_path / "a.zip", {name: content for name, content in entries.items() if content is not None})

    with pytest.raises(InputError, match=message):
        read_all(archive)


def test_a_mask_of_another_size(make: SimpleNamespace, tmp_path: Path, draw_nuclei: Draw) -> None:
    entries = make.bbbc038_entries("a", *draw_nuclei((48, 48), 2))
    entries["a/masks/other.png"] = make.png(np.ones((48, 47), np.uint8))

    with pytest.raises(InputError, match=r"\(48, 47\)"):
        read_all(make.zip(tmp_path / "a.zip", entries))
