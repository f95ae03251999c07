import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nucseg.core.errors import DownloadError, InputError
from nucseg.core.types import VOID
from nucseg.datasets import experiments, voc2012
from nucseg.datasets.config import ProcessingConfig, SemanticDownload
from nucseg.datasets.processing import assign_splits, convert_datasets
from nucseg.datasets.sources import FolderOrArchive, LocalFolder
from nucseg.models.deeplab.config import VOC_CLASSES
from nucseg.reporting.semantic.colours import palette

CONFIG = ProcessingConfig(transforms=(), classes=VOC_CLASSES)


def encoded(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def class_map(seed):
    classes = np.random.default_rng(seed).choice([0, 1, 15, VOID], (20, 30)).astype(np.uint8)
    picture = Image.fromarray(classes, "P")
    picture.putpalette(palette().ravel().tolist())
    return classes, encoded(picture, "PNG")


def files():
    rng = np.random.default_rng(0)
    lists = {"train": ["2007_000032", "2007_000033"], "val": ["2007_000039"]}
    for seed, name in enumerate([*lists["train"], *lists["val"], "2007_000042"]):
        pixels = rng.integers(0, 255, (20, 30, 3), np.uint8)
        yield f"JPEGImages/{name}.jpg", encoded(Image.fromarray(pixels), "JPEG")
        yield f"SegmentationClass/{name}.png", class_map(seed)[1]
    for split, names in lists.items():
        yield f"ImageSets/Segmentation/{split}.txt", ("\n".join(names) + "\n").encode()


@pytest.fixture
def tar(tmp_path):
    path = tmp_path / "voc.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in files():
            entry = tarfile.TarInfo(f"VOCdevkit/VOC2012/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_the_official_layout(tar, tmp_path):
    archive = voc2012.fetch(FolderOrArchive(url=str(tar)), tmp_path / "raw")
    (chunk,) = convert_datasets({"voc2012": archive}, CONFIG)
    assert chunk.rejected.empty
    np.testing.assert_array_equal(chunk.labels["voc2012/2007_000032"], class_map(0)[0])
    assert chunk.images["voc2012/2007_000032"].shape == (20, 30, 3)
    splits = assign_splits(chunk.converted, CONFIG).set_index("image_id")["split"]
    assert set(splits.index) == {"2007_000032", "2007_000033", "2007_000039"}  # no list names the last one
    assert splits["2007_000039"] == "test"
    assert set(splits[:2]) <= {"train", "val"}


def test_a_folder_without_lists(tmp_path):
    for name, content in files():
        if not name.startswith("ImageSets"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
    (tmp_path / "JPEGImages/2007_000042.jpg").unlink()
    archive = voc2012.fetch(FolderOrArchive(url=str(tmp_path)), tmp_path)
    (chunk,) = convert_datasets({"voc2012": archive}, CONFIG)
    assert len(chunk.converted) == 3
    assert "no image JPEGImages/2007_000042.jpg" in chunk.rejected["reason"][0]


def test_fewer_classes_than_the_data_have(tar, tmp_path):
    archive = voc2012.fetch(FolderOrArchive(url=str(tar)), tmp_path / "raw")
    (chunk,) = convert_datasets({"voc2012": archive}, ProcessingConfig(transforms=(), classes=("no", "yes")))
    assert len(chunk.rejected) == 3
    assert "has the value 15, but the classes are 0 to 1 (no, yes)" in chunk.rejected["reason"][0]


def test_other_archives_are_refused(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"no tar")
    with pytest.raises(DownloadError, match="is not a complete tar archive"):
        voc2012.fetch(FolderOrArchive(url=str(tmp_path / "a.tar")), tmp_path / "raw")
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../JPEGImages/a.jpg"))
    with pytest.raises(DownloadError, match="outside its folder"):
        voc2012.fetch(FolderOrArchive(url=str(tmp_path / "b.tar")), tmp_path / "raw")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no SegmentationClass"):
        list(voc2012.raw_samples(tmp_path / "empty"))


def test_the_official_source_is_the_default():
    source = SemanticDownload.model_validate({"datasets": "voc2012"}).source("voc2012")
    assert source.url.endswith("VOCtrainval_11-May-2012.tar")


@pytest.mark.skipif("NUCSEG_VOC" not in os.environ, reason="NUCSEG_VOC names no folder of samples of VOC 2012")
def test_real_samples():
    folder = Path(os.environ["NUCSEG_VOC"])
    (chunk,) = convert_datasets({"voc2012": folder}, CONFIG)
    found = {key: set(np.unique(classes)) for key, classes in chunk.labels.items()}
    assert found["voc2012/2007_000032"] == {0, 1, 15, VOID}
    assert found["voc2012/2007_000039"] == {0, 20, VOID}


def test_experiments(tmp_path):
    rng = np.random.default_rng(0)
    for group in ("first/a", "first/b", "second/a"):
        for number in range(2):
            for kind, pixels in (
                ("source", rng.integers(0, 255, (16, 16), np.uint8)),
                ("mask", 255 * rng.integers(0, 2, (16, 16)).astype(np.uint8)),
            ):
                path = tmp_path / group / kind / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    Image.fromarray(rng.integers(0, 255, (16, 16), np.uint8)).save(tmp_path / "first/a/mask/0.png")
    (tmp_path / "first/b/mask/1.png").unlink()
    archive = experiments.fetch(LocalFolder(path=tmp_path), tmp_path)
    two = ProcessingConfig(transforms=(), classes=("background", "mark"))
    (chunk,) = convert_datasets({"experiments": archive}, two)
    assert set(chunk.labels) == {
        f"experiments/{name}" for name in ("first_a_1", "first_b_0", "second_a_0", "second_a_1")
    }
    assert set(np.unique(chunk.labels["experiments/first_a_1"])) == {0, 1}
    reasons = " ".join(chunk.rejected["reason"])
    assert "it must have 0 and one other" in reasons
    assert "first_b_1: has no mask mask/1.png" in reasons
    splits = assign_splits(chunk.converted, two).groupby("case")["split"].nunique()
    assert (splits == 1).all()
    (tmp_path / "none").mkdir()
    with pytest.raises(DownloadError, match="has no images in <experiment>/<group>/source"):
        experiments.fetch(LocalFolder(path=tmp_path / "none"), tmp_path)
