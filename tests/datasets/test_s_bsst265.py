import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.datasets.s_bsst265 import raw_samples
from nucseg.images.channels import canonical_channels

Draw = Callable[..., tuple[NDArray, NDArray]]


def test_facts_from_the_csv(s_bsst265_zip: Path) -> None:
    facts = {s.image_id: (s.splits, s.test_class, s.magnification, s.modality) for s in raw_samples(s_bsst265_zip)}

    assert facts == {
        "Ganglioneuroblastoma_0": (("train", "val"), None, 20.0, "fluorescence"),
        "Ganglioneuroblastoma_4": (("test",), "GNB-I", 20.0, "fluorescence"),
        "Neuroblastoma_1": (("train", "val"), None, 63.0, "fluorescence"),
        "normal_0": (("train", "val"), None, 2.5, "fluorescence"),
    }


def test_reads_every_way_of_storing(s_bsst265_zip: Path, draw_nuclei: Draw) -> None:
    image, labels = draw_nuclei((64, 80), 6, seed=1)

    read = {sample.image_id: sample.read() for sample in raw_samples(s_bsst265_zip)}

    assert np.array_equal(read["Ganglioneuroblastoma_0"][0], image)
    for name in ("Ganglioneuroblastoma_4", "Neuroblastoma_1"):
        assert read[name][0].shape == (64, 80, 3)
        assert np.array_equal(read[name][0][..., 2], 255 - image)
    assert np.array_equal(canonical_channels(read["normal_0"][0]), image)
    assert all(np.array_equal(found, labels * 3) for _, found, _ in read.values())


@pytest.mark.parametrize("prefix", ["", "dataset/"])
def test_accepts_a_folder_above_and_a_byte_order_mark(
    prefix: str, make: SimpleNamespace, tmp_path: Path, s_bsst265_zip: Path
) -> None:
    with zipfile.ZipFile(s_bsst265_zip) as archive:
        entries = {prefix + name: archive.read(name) for name in archive.namelist()}
    entries[prefix + "image_description.csv"] = b"\xef\xbb\xbf" + entries[prefix + "image_description.csv"]

    samples = [sample.read()[0].shape[:2] for sample in raw_samples(make.zip(tmp_path / "a.zip", entries))]

    assert samples == [(64, 80)] * 4


@pytest.mark.parametrize(
    "row, files, message",
    [
        (("a", "train", "-", "20x"), {"groundtruth/a.tif": np.ones((4, 4), np.int32)}, "no image rawimages/a.tif"),
        (("a", "train", "-", "20x"), {"rawimages/a.tif": np.ones((4, 4), np.uint8)}, "no label image groundtruth/a"),
        (("a", "?", "-", "20x"), {}, r"'Train-/Testset split' is '\?'; allowed are \['test', 'train'\]"),
        (("a/b", "train", "-", "20x"), {}, "no image"),
        (
            ("a", "train", "-", "20x"),
            {"rawimages/a.tif": np.ones((4, 4), np.uint8), "groundtruth/a.tif": np.full((4, 4), 0.5, np.float32)},
            "groundtruth/a.tif: dtype float32 is not a label image",
        ),
    ],
)
def test_a_broken_sample_says_why(
    row: tuple[str, ...], files: dict[str, NDArray], message: str, make: SimpleNamespace, tmp_path: Path
) -> None:
    entries = make.s_bsst265_entries(
        [make.csv_row(*row)], {name: make.tiff(content) for name, content in files.items()}
    )

    with pytest.raises(InputError, match=message):
        [sample.read() for sample in raw_samples(make.zip(tmp_path / "a.zip", entries))]


def test_an_image_without_a_row_says_so(make: SimpleNamespace, tmp_path: Path) -> None:
    entries = make.s_bsst265_entries([], {"rawimages/a.tif": make.tiff(np.ones((4, 4), np.uint8))})

    with pytest.raises(InputError, match=r"a: has no row in image_description\.csv"):
        [sample.read() for sample in raw_samples(make.zip(tmp_path / "a.zip", entries))]


def test_an_unknown_magnification_is_none(make: SimpleNamespace, tmp_path: Path) -> None:
    rows = [make.csv_row(name, "train", "-", text) for name, text in (("a", "-"), ("b", ""), ("c", "0x"))]

    samples = raw_samples(make.zip(tmp_path / "a.zip", make.s_bsst265_entries(rows, {})))

    assert [sample.magnification for sample in samples] == [None] * 3


@pytest.mark.parametrize(
    "entries, message",
    [
        ({"image_description.csv": b"Image_Name;Diagnosis\r\na;b\r\n"}, "lacks the columns"),
        ({"image_description.csv": b""}, "lacks the columns"),
        ({"image_description.csv": b"\xff\xfe"}, "is not UTF-8 text"),
        ({"other.csv": b""}, "has no image_description.csv"),
    ],
)
def test_a_broken_description_stops(
    entries: dict[str, bytes], message: str, make: SimpleNamespace, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        list(raw_samples(make.zip(tmp_path / "a.zip", entries)))
