"""The datasets of annotated points: TUPAC16, AMi-Br and patches of one's own."""

import csv
import io
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nucseg.core.errors import DownloadError, InputError
from nucseg.datasets import ami_br, own_patches, tupac16
from nucseg.datasets.config import DownloadConfig, PatchesDownload, ProcessingConfig
from nucseg.datasets.manifest import read_manifest, samples_from_frame, write_manifest
from nucseg.datasets.points import NEGATIVE, places
from nucseg.datasets.processing import assign_splits, convert_datasets
from nucseg.datasets.sources import FolderOrArchive, LocalFolder
from nucseg.images.io import write_image

PLAIN = ProcessingConfig.model_validate(
    {"transforms": [], "split": {"salt": "a", "train": 0.5, "val": 0.25, "test": 0.25}}
)


def colour(seed: int, shape: tuple[int, int] = (40, 50)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


@pytest.fixture
def tupac(tmp_path: Path) -> Path:
    """Two images of case 1 and one of case 30, with 2, 0 and 1 mitoses; the second has no CSV."""
    for case, image, points in (("01", "01", "3,45\n20,7\n"), ("01", "02", None), ("30", "01", "39,49\n")):
        write_image(tmp_path / tupac16.IMAGES / case / f"{image}.tif", colour(int(case)))
        if points is not None:
            file = tmp_path / tupac16.TRUTH / case / f"{image}.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(points)
    return tmp_path


def convert(name: str, folder: Path, config: ProcessingConfig = PLAIN) -> Any:
    images, labels = {}, {}
    for chunk in convert_datasets({name: folder}, config):
        images |= chunk.images
        labels |= chunk.labels
    return images, labels, chunk.converted, chunk.rejected


def test_tupac16_in_its_official_layout(tupac: Path) -> None:
    images, labels, converted, rejected = convert("tupac16", tupac)
    assert rejected.empty
    assert list(images) == ["tupac16/01_01", "tupac16/01_02", "tupac16/30_01"]
    np.testing.assert_array_equal(images["tupac16/01_01"], colour(1))
    np.testing.assert_array_equal(places(labels["tupac16/01_01"]), [(3, 45), (20, 7)])
    assert not labels["tupac16/01_02"].any()
    assert converted["case"].tolist() == ["01", "01", "30"]
    assert converted["stratum"].tolist() == ["laboratory 1", "laboratory 1", "laboratory 2"]


@pytest.mark.parametrize("inside", ["", "TUPAC16/"])
def test_tupac16_as_an_archive(tupac: Path, inside: str, tmp_path: Path) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for file in [file for file in tupac.rglob("*") if file.suffix in (".tif", ".csv")]:
            opened.write(file, inside + str(file.relative_to(tupac)))
    fetched = tupac16.fetch(FolderOrArchive(url=str(archive)), tmp_path / "raw")
    assert fetched == tmp_path / "raw/tupac16.zip"
    _, labels, _, rejected = convert("tupac16", fetched)
    assert rejected.empty
    assert {key: int((points > 0).sum()) for key, points in labels.items()} == {
        "tupac16/01_01": 2,
        "tupac16/01_02": 0,
        "tupac16/30_01": 1,
    }
    assert tupac16.fetch(FolderOrArchive(url=str(tupac)), tmp_path / "raw") == tupac


@pytest.mark.parametrize(
    "text, message",
    [
        ("row,column\n3,4\n", "01/01.csv, line 1: 'row,column' is a header; each line must be row,column, without"),
        ("3,4\n45,45\n", "line 2: row 45, column 45 lies outside of the image of 40 rows and 50 columns.$"),
        ("45,3\n49,39\n", "with the two columns swapped all points lie inside: a line must be row,column"),
        ("-1,3\n", "line 1: row -1, column 3 lies outside"),
        ("3\n", "line 1: '3' is no point; each line must be row,column"),
        ("3,4,5\n", "'3,4,5' is no point"),
        ("3,nan\n", "line 1: row 3, column nan lies outside"),
    ],
)
def test_a_wrong_truth_is_refused_in_one_line(tupac: Path, text: str, message: str) -> None:
    (tupac / tupac16.TRUTH / "01/01.csv").write_text(text)
    images, _, _, rejected = convert("tupac16", tupac)
    assert list(images) == ["tupac16/01_02", "tupac16/30_01"]
    reason = rejected["reason"].item()
    assert "\n" not in reason
    assert re.search(message, reason)


def test_another_layout_is_refused(tmp_path: Path, tupac: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="holds no folder mitoses_train_image_data"):
        list(tupac16.raw_samples(tmp_path / "other"))
    (tupac / tupac16.IMAGES / "case 5").mkdir()
    with pytest.raises(InputError, match="case 5 is no case; cases are numbers"):
        list(tupac16.raw_samples(tupac))


def test_grey_images_are_rejected_and_alpha_is_dropped(tupac: Path) -> None:
    write_image(tupac / tupac16.IMAGES / "01/01.tif", colour(5)[..., 0])
    write_image(tupac / tupac16.IMAGES / "01/02.tif", np.dstack([colour(6), np.full((40, 50), 255, np.uint8)]))
    images, _, _, rejected = convert("tupac16", tupac)
    assert rejected["reason"].tolist() == ["01_01: is grey; patches of a stained section must be in colour."]
    np.testing.assert_array_equal(images["tupac16/01_02"], colour(6))


def crop(seed: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(colour(seed, (128, 128))).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


@pytest.fixture
def ami(tmp_path: Path) -> Path:
    """Crops of three slides; two of the first slide show each other."""
    rows = [
        ("TUPAC16", "01.tif", 1, 500, 600),
        ("TUPAC16", "01.tif", 2, 520, 570),
        ("TUPAC16", "24_stitched1.tif", 3, 90, 80),
        ("TUPAC16", "50.tif", 4, 90, 80),
    ]
    with (tmp_path / ami_br.TABLE).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", "slide", "dataset", "uid", "x", "y", "majority_atypical"])
        writer.writerows(
            (number, slide, part, uid, x, y, "False") for number, (part, slide, uid, x, y) in enumerate(rows)
        )
    with zipfile.ZipFile(tmp_path / "TUPAC16.zip", "w") as archive:
        for _, _, uid, _, _ in rows[:3]:
            archive.writestr(f"normal/TUPAC16_{uid}.webp", crop(uid))
    return tmp_path


def test_ami_br(ami: Path) -> None:
    assert ami_br.fetch(LocalFolder(path=ami), ami) == ami
    images, labels, converted, rejected = convert("ami_br", ami)
    np.testing.assert_array_equal(images["ami_br/TUPAC16_2"], colour(2, (128, 128)))
    # x is the column: the second figure lies 30 rows above and 20 columns right of the first.
    np.testing.assert_array_equal(places(labels["ami_br/TUPAC16_1"]), [(34, 84), (64, 64)])
    np.testing.assert_array_equal(places(labels["ami_br/TUPAC16_2"]), [(64, 64), (94, 44)])
    np.testing.assert_array_equal(places(labels["ami_br/TUPAC16_3"]), [(64, 64)])
    assert converted["case"].tolist() == ["TUPAC16-001", "TUPAC16-001", "TUPAC16-024"]
    assert converted["stratum"].tolist() == ["TUPAC16-1", "TUPAC16-1", "TUPAC16-2"]
    assert converted["test_class"].tolist() == ["TUPAC16"] * 3
    assert rejected["reason"].tolist() == ["TUPAC16_4: has no crop in the archive."]


def test_a_stain_of_one_hue_stays_in_colour(ami: Path) -> None:
    """Of nuclei in fluorescence one channel would be taken; a section is what it is."""
    image = np.zeros((128, 128, 3), np.uint8)
    image[..., 0] = colour(7, (128, 128))[..., 0]
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "WEBP", lossless=True)
    with zipfile.ZipFile(ami / "TUPAC16.zip", "w") as archive:
        archive.writestr("TUPAC16_1.webp", stream.getvalue())
    images, *_ = convert("ami_br", ami)
    np.testing.assert_array_equal(images["ami_br/TUPAC16_1"], image)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("01.tif,TUPAC16,1", "x.tif,TUPAC16,1", "line 2: the slide 'x.tif' does not begin with a case's number"),
        ("500,600", "500,?", "line 2: x = '500', y = '\\?' must be numbers"),
        ("slide", "name", "lacks the columns slide"),
    ],
)
def test_a_wrong_table_is_refused(ami: Path, old: str, new: str, message: str) -> None:
    table = ami / ami_br.TABLE
    table.write_text(table.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        list(ami_br.raw_samples(ami))


def test_ami_br_needs_table_and_archive(ami: Path, tmp_path: Path) -> None:
    (ami / "TUPAC16.zip").unlink()
    with pytest.raises(DownloadError, match=r"must hold AMI-BR.csv and TUPAC16.zip or MIDOG21.zip"):
        ami_br.fetch(LocalFolder(path=ami), tmp_path)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    for number in range(4):
        write_image(tmp_path / f"positive/p{number}.tif", colour(number, (64, 64)))
        write_image(tmp_path / f"negative/n{number}.tif", colour(10 + number, (130, 64)))
    return tmp_path


def test_own_patches(own: Path) -> None:
    assert own_patches.fetch(LocalFolder(path=own), own) == own
    images, labels, converted, rejected = convert("own_patches", own)
    assert rejected.empty
    np.testing.assert_array_equal(places(labels["own_patches/positive_p1"]), [(32, 32)])
    assert images["own_patches/negative_n1"].shape == (94, 64, 3)  # the middle
    np.testing.assert_array_equal(images["own_patches/negative_n1"], colour(11, (130, 64))[18:112])
    np.testing.assert_array_equal(places(labels["own_patches/negative_n1"], NEGATIVE), [(47, 32)])
    assert converted["case"].nunique() == 8


def test_own_patches_by_case(own: Path) -> None:
    table = "file,case,split\npositive/p0.tif,a,test\nnegative/n0.tif,a,test\npositive/p1.tif,b,\n"
    (own / own_patches.CASES).write_text(table)
    _, _, converted, _ = convert("own_patches", own)
    manifest = assign_splits(converted, PLAIN).set_index("image_id")
    assert manifest.loc[["positive_p0", "negative_n0"], "split"].tolist() == ["test", "test"]
    assert manifest.loc["positive_p0", "case"] == "a"


@pytest.mark.parametrize(
    "table, message",
    [
        (
            "file,case,split\npositive/p0.tif,a,train\nnegative/n0.tif,a,test\n",
            "the case 'a' is in the splits test and train",
        ),
        ("file,case\npositive/p9.tif,a\n", "line 2: there is no file 'positive/p9.tif'"),
        ("file,case\npositive/p0.tif,a\npositive/p0.tif,b\n", "line 3: positive/p0.tif is listed twice"),
        ("file,case\npositive/p0.tif,\n", "line 2: positive/p0.tif has no case"),
        ("file,case,split\npositive/p0.tif,a,later\n", "line 2: split 'later'; allowed are train, val, test"),
        ("name,patient\npositive/p0.tif,a\n", "has the columns name, patient; it must have file, case"),
    ],
)
def test_wrong_cases_are_refused(own: Path, table: str, message: str) -> None:
    (own / own_patches.CASES).write_text(table)
    with pytest.raises(InputError, match=message):
        list(own_patches.raw_samples(own))


def test_own_patches_that_cannot_be_used(own: Path, tmp_path: Path) -> None:
    write_image(own / "positive/small.tif", colour(1, (16, 64)))
    Image.fromarray(colour(1)).convert("CMYK").save(own / "positive/cmyk.jpg")
    write_image(own / "negative/grey.tif", colour(1, (64, 64))[..., 1])
    *_, rejected = convert("own_patches", own)
    reasons = dict(zip(rejected["image_id"], rejected["reason"], strict=True))
    assert reasons["positive_small"] == "positive/small.tif: is 16 x 64 pixels; 32 a side are needed."
    assert "holds CMYK colours; convert it to RGB" in reasons["positive_cmyk"]
    assert "is grey; patches of a stained section must be in colour" in reasons["negative_grey"]
    shutil.rmtree(own / "negative")
    with pytest.raises(DownloadError, match="negative has no image"):
        own_patches.fetch(LocalFolder(path=own), tmp_path)


def test_cases_go_to_one_split_and_each_laboratory_to_all(tmp_path: Path) -> None:
    rows = [
        {"image_id": f"{lab}{case}_{image}", "case": f"{lab}{case}", "stratum": lab}
        for lab in "ab"
        for case in range(8)
        for image in range(3)
    ]
    common = {
        "dataset": "tupac16",
        "modality": "histology",
        "height": 9,
        "width": 9,
        "channels": 3,
        "splits": "train val test",
    }
    empty = dict.fromkeys(
        ["magnification", "test_class", "n_nuclei", "median_diameter_px", "field", "overlap_px", "fingerprint"]
    )
    paths = {"image_path": "a.tif", "label_path": "b.tif"}
    manifest = assign_splits(pd.DataFrame([{**row, **common, **empty, **paths} for row in rows]), PLAIN)
    counts = manifest.drop_duplicates(["case", "split"])
    assert counts["case"].is_unique
    counts = counts.assign(lab=lambda table: table["case"].str[0])
    assert pd.crosstab(counts["lab"], counts["split"])[["train", "val", "test"]].to_numpy().tolist() == [[4, 2, 2]] * 2
    write_manifest(tmp_path / "samples.csv", manifest)
    assert [sample.case for sample in read_manifest(tmp_path / "samples.csv")] == manifest["case"].tolist()
    assert samples_from_frame(manifest.drop(columns="case"), tmp_path / "x.csv")[0].case is None


def test_each_task_has_its_datasets() -> None:
    with pytest.raises(
        ValueError, match=r"unknown datasets \['ami_br'\]; allowed are \['bbbc038', 'demo', 'own', 's_bsst265'\]"
    ):
        DownloadConfig.model_validate({"datasets": "ami_br"})
    with pytest.raises(
        ValueError, match=r"unknown datasets \['bbbc038'\]; allowed are \['ami_br', 'own_patches', 'tupac16'\]"
    ):
        PatchesDownload.model_validate({"datasets": "bbbc038"})
    with pytest.raises(ValueError, match=r"`tupac16` needs patches.data_download.tupac16.url;"):
        PatchesDownload.model_validate({"datasets": "tupac16"})
