import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.datasets import DATASETS, demo
from nucseg.datasets.base import RawSample
from nucseg.datasets.config import ProcessingConfig
from nucseg.datasets.manifest import COLUMNS, read_manifest, samples_from_frame, write_manifest
from nucseg.datasets.processing import CONVERTED_COLUMNS, ConvertedChunk, assign_splits, convert_datasets

Draw = Callable[..., tuple[NDArray, NDArray]]
CONFIG = ProcessingConfig(fill_label_holes=False, transforms=())


def convert(archives: dict[str, Path], config: ProcessingConfig = CONFIG, chunk_size: int = 32) -> ConvertedChunk:
    """Convert, and put the chunks together."""
    images: dict[str, NDArray] = {}
    labels: dict[str, NDArray] = {}
    for chunk in convert_datasets(archives, config, chunk_size):
        images |= chunk.images
        labels |= chunk.labels
    return ConvertedChunk(images, labels, chunk.converted, chunk.rejected)


def test_converts_to_the_canonical_form(bbbc038_zip: Path, s_bsst265_zip: Path, draw_nuclei: Draw) -> None:
    found = convert({"bbbc038": bbbc038_zip, "s_bsst265": s_bsst265_zip})

    rows = found.converted.set_index(found.converted["dataset"] + "/" + found.converted["image_id"])
    assert list(rows.index) == list(found.images) == list(found.labels)
    assert found.rejected.empty
    assert rows["modality"].tolist() == ["fluorescence", "fluorescence", "brightfield", "histology"] + (
        ["fluorescence"] * 4
    )
    assert rows["channels"].tolist() == [1, 1, 1, 3, 1, 3, 3, 1]
    assert np.array_equal(found.images["bbbc038/aa"], draw_nuclei((72, 96), 8, seed=0)[0])
    for key, row in rows.iterrows():
        labels = found.labels[str(key)]
        assert found.images[str(key)].shape[:2] == labels.shape == (row["height"], row["width"])
        assert np.array_equal(np.unique(labels), np.arange(row["n_nuclei"] + 1))
        assert 2 * 5 * 0.9 < row["median_diameter_px"] < 2 * 9


def test_one_stain_in_false_colour_is_stored_as_grey_and_several_are_rejected(
    tmp_path: Path, draw_nuclei: Draw, make: SimpleNamespace
) -> None:
    image, labels = draw_nuclei((72, 96), 8)
    other = np.roll(image, 40, axis=1)
    blue, merge = (np.dstack([image * 0, red, image]) for red in (image * 0, other - other.min()))
    merge[..., 2] -= image.min()
    entries = make.bbbc038_entries("blue", blue, labels) | make.bbbc038_entries("merge", merge, labels)

    found = convert({"bbbc038": make.zip(tmp_path / "stage1_train.zip", entries)})

    assert np.array_equal(found.images["bbbc038/blue"], image)
    assert found.converted[["image_id", "channels", "modality"]].to_numpy().tolist() == [["blue", 1, "fluorescence"]]
    assert found.rejected["image_id"].tolist() == ["merge"]
    assert "several stains" in found.rejected["reason"][0]


def test_comes_in_chunks(bbbc038_zip: Path) -> None:
    chunks = convert_datasets({"bbbc038": bbbc038_zip}, CONFIG, chunk_size=3)
    found = [(list(chunk.images), list(chunk.labels), len(chunk.converted)) for chunk in chunks]

    first, second = ["bbbc038/aa", "bbbc038/bb", "bbbc038/cc"], ["bbbc038/dd"]
    assert found == [(first, first, 3), (second, second, 4)]


def test_a_chunk_that_somebody_keeps_holds_no_images_for_long(bbbc038_zip: Path) -> None:
    first, second = convert_datasets({"bbbc038": bbbc038_zip}, CONFIG, chunk_size=3)

    assert not first.images
    assert not first.labels
    assert list(second.images) == ["bbbc038/dd"]


def test_holes_are_filled_where_the_rule_says_so(make: SimpleNamespace, tmp_path: Path) -> None:
    image = np.zeros((8, 8), np.uint8)
    labels = np.zeros((8, 8), np.int32)
    labels[1:6, 1:6] = 1
    labels[3, 3] = 0
    archive = make.zip(tmp_path / "a.zip", make.bbbc038_entries("a", image, labels))
    filling = ProcessingConfig(fill_label_holes=True, transforms=())

    assert np.count_nonzero(convert({"bbbc038": archive}).labels["bbbc038/a"]) == 24
    assert np.count_nonzero(convert({"bbbc038": archive}, filling).labels["bbbc038/a"]) == 25


def test_without_label_images_their_facts_are_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As those of a task whose truth is another one."""
    image = np.random.default_rng(0).integers(0, 255, (20, 30)).astype(np.uint8)
    facts = {"read": lambda: (image, None, 0), "modality": "histology", "splits": ("train",)}
    unlabelled = [RawSample("patch", **facts), RawSample("other", **facts)]
    patches = SimpleNamespace(INFO=demo.INFO, raw_samples=lambda archive: iter(unlabelled))
    monkeypatch.setitem(DATASETS, "patches", patches)

    found = convert({"patches": tmp_path, "demo": demo.fetch(None, tmp_path)})
    path = tmp_path / "samples.csv"
    write_manifest(path, assign_splits(found.converted, CONFIG))

    assert set(found.labels) == {key for key in found.images if key.startswith("demo/")}
    assert "patch,patches,train,histology,,,20,30,1,,,images/patches/patch.tif,,other\n" in path.read_text()
    labelled, *_, bare = read_manifest(path)
    assert labelled.label_file() == tmp_path / "labels/demo/bottom_left.tif"
    assert (bare.n_nuclei, bare.median_diameter_px, bare.label_path) == (None, None, None)
    with pytest.raises(InputError, match="patches/patch: has no label image"):
        bare.label_file()


def test_broken_samples_are_rejected_with_their_reason(
    make: SimpleNamespace, tmp_path: Path, draw_nuclei: Draw, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    image, labels = draw_nuclei((48, 48), 3)
    good = make.tiff(labels.astype(np.int32))
    pairs = {
        "good": (make.tiff(image), good),
        "unreadable": (b"II*\0 and nothing more", good),
        "shapes": (make.tiff(image[:40]), good),
        "empty": (make.tiff(image), make.tiff(labels * 0)),
        "float": (make.tiff(image), make.tiff((labels / 2).astype(np.float32))),
        "float_image": (make.tiff(image.astype(np.float32)), good),
        "planes": (make.tiff(np.stack([image] * 5)), good),
    }
    rows = [make.csv_row(name, "train", "-", "20x") for name in [*pairs, "no_files", "good", "../up"]]
    files = {f"rawimages/{name}.tif": image for name, (image, _) in pairs.items()}
    files |= {f"groundtruth/{name}.tif": labels for name, (_, labels) in pairs.items()}
    archive = make.zip(tmp_path / "a.zip", make.s_bsst265_entries(rows, files))

    found = convert({"s_bsst265": archive})

    assert list(found.images) == ["s_bsst265/good"]
    reasons = dict(zip(found.rejected["image_id"], found.rejected["reason"], strict=True))
    expected = {
        "unreadable": "cannot be read",
        "shapes": "(40, 48) (rows, columns) and its label image (48, 48)",
        "empty": "the label image contains no nucleus",
        "float": "float32 is not a label image",
        "float_image": "allowed are uint8 and uint16",
        "planes": "holds 5 pages",
        "no_files": "has no image",
        "good": "appears twice",
        "../up": "invalid id",
    }
    assert reasons.keys() == expected.keys()
    assert all(text in reasons[name] for name, text in expected.items())
    assert "1 samples converted (1 fluorescence), 3 nuclei" in caplog.text
    assert "9 samples rejected" in caplog.text


def test_a_broken_mask_rejects_its_sample(make: SimpleNamespace, tmp_path: Path, draw_nuclei: Draw) -> None:
    entries = make.bbbc038_entries("a", *draw_nuclei((48, 48), 2)) | {"a/masks/m001.png": b"\x89PNG broken"}
    entries |= make.bbbc038_entries("b", *draw_nuclei((48, 48), 2))

    found = convert({"bbbc038": make.zip(tmp_path / "a.zip", entries)})

    assert list(found.images) == ["bbbc038/b"]
    assert found.rejected["image_id"].tolist() == ["a"]


def test_nothing_but_broken_samples(make: SimpleNamespace, tmp_path: Path) -> None:
    archive = make.zip(tmp_path / "a.zip", {"a/images/a.png": b"x", "a/masks/1.png": b"x"})

    found = convert({"bbbc038": archive})

    assert found.converted.empty
    assert list(found.converted.columns) == CONVERTED_COLUMNS
    assert len(found.rejected) == 1
    with pytest.raises(InputError, match=r"No sample could be converted; rejected\.csv lists the reasons"):
        assign_splits(found.converted, CONFIG)


def test_splits_survive_the_way_through_a_csv(bbbc038_zip: Path, s_bsst265_zip: Path, tmp_path: Path) -> None:
    converted = convert(
        {"bbbc038": bbbc038_zip, "s_bsst265": s_bsst265_zip, "demo": demo.fetch(None, tmp_path)}
    ).converted
    converted.to_csv(tmp_path / "converted.csv", index=False)

    manifest = assign_splits(pd.read_csv(tmp_path / "converted.csv"), CONFIG)

    pd.testing.assert_frame_equal(manifest, assign_splits(converted, CONFIG), check_dtype=False)
    assert list(manifest.columns) == [*COLUMNS, "case"]
    samples = {sample.key: sample for sample in samples_from_frame(manifest, tmp_path / "samples.csv")}
    assert samples["s_bsst265/Ganglioneuroblastoma_4"].split == "test"
    assert {sample.case for sample in samples.values()} == {None, "Ganglioneuroblastoma_0"}  # near-duplicates
    assert {samples[f"s_bsst265/{name}"].split for name in ("Ganglioneuroblastoma_0", "normal_0")} <= {"train", "val"}
    assert [samples[f"demo/{name}"].split for name in ("top_left", "top_right", "bottom_left", "bottom_right")] == [
        *("train", "train", "val", "test")
    ]
    assert samples["demo/top_left"].image_path == tmp_path / "images" / "demo" / "top_left.tif"


def rows(n: int) -> pd.DataFrame:
    """Facts of `n` images that resemble each other in nothing."""
    shape = {"height": range(100, 100 + n), "width": 100, "channels": 1, "n_nuclei": 3, "median_diameter_px": 9.0}
    return pd.DataFrame(
        {"image_id": [f"{number:05d}" for number in range(n)], "dataset": "bbbc038", "modality": "fluorescence"}
        | {"magnification": None, "test_class": None, **shape, "splits": "train val test", "field": None}
        | {"overlap_px": 0, "fingerprint": "", "image_path": "images/i.tif", "label_path": "labels/i.tif"}
    )


NO_GROUPS = ProcessingConfig.model_validate({"transforms": [], "split": {"group_near_duplicates": False}})


def test_a_split_does_not_depend_on_which_images_are_present() -> None:
    everything = assign_splits(rows(500), NO_GROUPS).set_index("image_id")["split"]
    some = assign_splits(rows(500).sample(100, random_state=1), NO_GROUPS).set_index("image_id")["split"]

    assert (everything[some.index] == some).all()
    shares = everything.value_counts(normalize=True)
    assert abs(shares["train"] - 0.7) < 0.06
    assert abs(shares["val"] - 0.1) < 0.05


def test_official_training_images_never_become_test_images() -> None:
    official = rows(400).assign(splits="train val")

    shares = assign_splits(official, NO_GROUPS)["split"].value_counts(normalize=True)

    assert set(shares.index) == {"train", "val"}
    assert abs(shares["val"] - 0.125) < 0.05


def test_no_share_for_what_is_allowed() -> None:
    config = ProcessingConfig.model_validate(
        {"transforms": [], "split": {"train": 0, "val": 0, "test": 1, "group_near_duplicates": False}}
    )

    with pytest.raises(InputError, match="assigns no share to any of train, val"):
        assign_splits(rows(3).assign(splits="train val"), config)


def test_near_duplicates_go_together(make: SimpleNamespace, tmp_path: Path, draw_nuclei: Draw) -> None:
    entries: dict[str, bytes] = {}
    for seed in range(8):
        image, labels = draw_nuclei((72, 96), 8, seed=seed)
        for copy in "abc":
            entries |= make.bbbc038_entries(f"{copy}{seed}", image, labels)
    converted = convert({"bbbc038": make.zip(tmp_path / "a.zip", entries)}).converted

    together = assign_splits(converted, CONFIG)
    alone = assign_splits(converted, NO_GROUPS)

    by_seed = [frame.groupby(frame["image_id"].str[1])["split"].nunique() for frame in (together, alone)]
    assert by_seed[0].max() == 1
    assert by_seed[1].max() > 1
