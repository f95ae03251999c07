"""A folder of one's own images."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from pydantic import ValidationError

from nucseg.core.errors import DownloadError, InputError
from nucseg.datasets import own
from nucseg.datasets.config import DownloadConfig, ProcessingConfig
from nucseg.datasets.download import download_datasets
from nucseg.datasets.processing import assign_splits, convert_datasets
from nucseg.datasets.sources import FolderSource

Draw = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, draw_nuclei: Draw) -> Path:
    """Two fluorescence images as TIFF, a stained one as PNG."""
    for name in ("images", "labels"):
        (tmp_path / "mine" / name).mkdir(parents=True)
    for number, name in enumerate(("a", "b", "stained")):
        image, labels = draw_nuclei((64, 72), 6, seed=number, modality="histology" if number == 2 else "fluorescence")
        if number == 2:
            iio.imwrite(tmp_path / "mine/images/stained.png", image)
            iio.imwrite(tmp_path / "mine/labels/stained.png", labels.astype(np.uint16))
        else:
            tifffile.imwrite(tmp_path / f"mine/images/{name}.tif", image)
            tifffile.imwrite(tmp_path / f"mine/labels/{name}.tif", labels)
    return tmp_path / "mine"


def converted(folder: Path) -> Any:
    """Return the one chunk, with images and labels as they were when it came."""
    (chunk,) = convert_datasets({"own": folder}, ProcessingConfig(transforms=()))
    return chunk


def reasons(folder: Path) -> dict[str, str]:
    rejected = converted(folder).rejected
    return dict(zip(rejected["image_id"], rejected["reason"], strict=True))


def test_images_of_several_channels_are_rejected_and_labels_keep_their_numbers(folder: Path) -> None:
    stack = np.stack([tifffile.imread(folder / "images/a.tif")] * 3)
    tifffile.imwrite(folder / "images/a.tif", stack, imagej=True, metadata={"axes": "CYX"})
    labels = tifffile.imread(folder / "labels/b.tif").astype(np.uint8)
    table = np.random.default_rng(0).integers(0, 2**16, (3, 256), np.uint16)
    tifffile.imwrite(folder / "labels/b.tif", labels, photometric="palette", colormap=table)

    chunk = converted(folder)

    assert "a.tif: holds 3 channels (numbers 0 to 2)" in chunk.rejected.set_index("image_id")["reason"]["a"]
    assert chunk.labels["own/b"].max() == len(np.unique(labels)) - 1


def test_a_folder_becomes_samples_where_it_lies(folder: Path, tmp_path: Path, draw_nuclei: Draw) -> None:
    config = DownloadConfig.model_validate({"datasets": "own", "own": {"path": str(folder)}})
    archives = download_datasets(config, tmp_path / "raw")
    assert archives == {"own": folder}
    assert not (tmp_path / "raw").exists()

    (chunk,) = convert_datasets(archives, ProcessingConfig(transforms=()))
    assert list(chunk.images) == ["own/a", "own/b", "own/stained"]
    assert chunk.converted["modality"].tolist() == ["fluorescence", "fluorescence", "histology"]
    assert chunk.converted["n_nuclei"].tolist() == [6, 6, 6]
    np.testing.assert_array_equal(chunk.images["own/b"], draw_nuclei((64, 72), 6, seed=1)[0])
    np.testing.assert_array_equal(chunk.labels["own/b"] > 0, draw_nuclei((64, 72), 6, seed=1)[1] > 0)
    assert chunk.rejected.empty


def test_a_table_says_split_modality_and_magnification(folder: Path) -> None:
    (folder / "samples.csv").write_text(
        "\ufeffimage_id,split,modality,magnification\r\na,test,brightfield,20\r\nb,val,,\r\n", "utf-8"
    )
    rows = converted(folder).converted.set_index("image_id")
    assert rows.loc["a", ["modality", "magnification", "splits"]].tolist() == ["brightfield", 20.0, "test"]
    assert rows.loc["b", ["modality", "splits"]].tolist() == ["fluorescence", "val"]
    assert np.isnan(rows.loc["b", "magnification"])
    assert rows.loc["stained", "splits"] == "train val test"
    splits = assign_splits(converted(folder).converted, ProcessingConfig(transforms=())).set_index("image_id")["split"]
    assert splits[["a", "b"]].tolist() == ["test", "val"]


def test_what_is_broken_is_rejected_with_its_reason(folder: Path, draw_nuclei: Draw) -> None:
    image, labels = draw_nuclei((64, 64), 6)
    tifffile.imwrite(folder / "images/alone.tif", image)
    tifffile.imwrite(folder / "labels/lost.tif", labels)
    for name in ("float", "slow", "fast"):
        tifffile.imwrite(folder / f"images/{name}.tif", image)
        tifffile.imwrite(folder / f"labels/{name}.tif", labels / 2 if name == "float" else labels)
    (folder / "images/b.tif").write_bytes(b"nothing")
    (folder / "images/.hidden.tif").write_bytes(b"nothing")
    (folder / "samples.csv").write_text("image_id,split,modality,magnification\na,tset,,\nslow,,xray,\nfast,,,20x\n")
    found = reasons(folder)
    assert list(found) == ["a", "alone", "b", "fast", "float", "slow", "lost"]
    assert "split 'tset'" in found["a"]
    assert "labels/alone.tif" in found["alone"]
    assert "b.tif" in found["b"]
    assert "magnification '20x'" in found["fast"]
    assert "whole numbers" in found["float"]
    assert "modality 'xray'" in found["slow"]
    assert "images/lost.tif" in found["lost"]


def test_corrections_come_as_outlines_and_none_is_an_answer(folder: Path) -> None:
    square = {"type": "Polygon", "coordinates": [[[10, 5], [14, 5], [14, 8], [10, 8], [10, 5]]]}
    (folder / "labels/a.tif").unlink()
    (folder / "labels/a.geojson").write_text(json.dumps({"features": [{"type": "Feature", "geometry": square}]}))
    with zipfile.ZipFile(folder / "labels/stained.geojson.zip", "w") as archive:
        archive.write(folder / "labels/a.geojson", "stained.geojson")
    (folder / "labels/stained.png").unlink()
    tifffile.imwrite(folder / "labels/b.tif", np.zeros((64, 72), np.uint16))

    chunk = converted(folder)

    assert chunk.converted["n_nuclei"].tolist() == [1, 0, 1]
    assert chunk.labels["own/a"].sum() == 12
    assert chunk.rejected.empty

    iio.imwrite(folder / "labels/a.png", np.zeros((64, 72), np.uint8))
    assert reasons(folder) == {"a": "a: is outlined in a.geojson and a.png; keep the one that counts."}


def test_a_label_image_of_a_similar_name_is_named(folder: Path, draw_nuclei: Draw) -> None:
    (folder / "labels/a.tif").rename(folder / "labels/a_cp_masks.tif")
    tifffile.imwrite(folder / "labels/ba.tif", draw_nuclei((64, 72), 6)[1])
    assert reasons(folder)["a"].endswith("; there is a_cp_masks.tif: give it the name of its image.")


def test_of_two_images_of_one_name_the_first_is_used(folder: Path) -> None:
    iio.imwrite(folder / "images/a.png", np.zeros((64, 72), np.uint8))
    assert "twice" in reasons(folder)["a"]


@pytest.mark.parametrize("missing", ["images", "labels"])
def test_a_folder_without_images_or_labels_is_refused(folder: Path, missing: str) -> None:
    (folder / missing).rename(folder / "other")
    with pytest.raises(DownloadError, match=f"own.path: .*{missing} has no file"):
        own.fetch(FolderSource(path=folder), folder / "fetched")


@pytest.mark.parametrize(
    "text, said",
    [
        ("name,split\na,test\n", "has the columns name, split"),
        ("image_id,splits\na,test\n", "has the columns image_id, splits"),
        ("image_id,split\na.tif,test\n", r"there is no image named 'a\.tif'"),
        ("image_id,split\na,test\na,train\n", "lists an image twice"),
    ],
)
def test_a_table_that_would_be_ignored_is_refused(folder: Path, text: str, said: str) -> None:
    (folder / "samples.csv").write_text(text)
    with pytest.raises(InputError, match=rf"samples\.csv: {said}"):
        converted(folder)


def test_the_table_must_be_readable(folder: Path) -> None:
    (folder / "samples.csv").write_bytes(b"image_id\n\xff\xfe")
    with pytest.raises(InputError, match=r"samples.csv: is not readable"):
        converted(folder)


def test_the_parameters_must_name_the_folder() -> None:
    with pytest.raises(ValidationError, match=r"needs data_download\.own\.path"):
        DownloadConfig.model_validate({"datasets": ["bbbc038", "own"]})
