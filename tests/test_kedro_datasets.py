from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from kedro.io import DatasetError

from nucseg.images.transforms import parse_transforms
from nucseg.kedro_datasets import FolderDataset, ImageDataset, LabelDataset, ManifestDataset, ModelDataset
from whole_images import predict_whole


@pytest.mark.parametrize("dtype, shape", [(np.uint8, (5, 7)), (np.uint16, (5, 7, 3))])
def test_an_image_is_given_back_as_it_was_saved(tmp_path: Path, dtype: type, shape: tuple[int, ...]) -> None:
    dataset = ImageDataset(filepath=str(tmp_path / "deep/image.tif"))
    assert not dataset.exists()
    image = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    dataset.save(image)
    assert dataset.exists()
    loaded = dataset.load()
    assert loaded.dtype == dtype
    assert np.array_equal(loaded, image)


@pytest.mark.parametrize("largest, stored", [(65_535, np.uint16), (65_536, np.uint32)])
def test_labels_are_as_wide_on_disk_as_they_must_be(tmp_path: Path, largest: int, stored: type) -> None:
    path = tmp_path / "labels.tif"
    dataset = LabelDataset(filepath=str(path))
    labels = np.array([[0, largest]], np.int32)
    dataset.save(labels)
    assert tifffile.imread(path).dtype == stored
    assert dataset.load().dtype == np.int32
    assert np.array_equal(dataset.load(), labels)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    path.write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"image\.tif"):
        ImageDataset(filepath=str(path)).load()


def test_a_folder_is_made_and_cannot_be_saved(tmp_path: Path) -> None:
    dataset = FolderDataset(filepath=str(tmp_path / "a/b"))
    assert dataset.exists()
    assert dataset.load().is_dir()
    with pytest.raises(DatasetError, match="working folder"):
        dataset.save(tmp_path)


def test_the_manifest_leads_to_the_files(tmp_path: Path) -> None:
    row = {
        "image_id": "007",
        "dataset": "drawn",
        "split": "train",
        "modality": "fluorescence",
        "magnification": None,
        "test_class": None,
        "height": 5,
        "width": 7,
        "channels": 1,
        "n_nuclei": 0,
        "median_diameter_px": None,
        "image_path": "images/drawn/007.tif",
        "label_path": "labels/drawn/007.tif",
    }
    dataset = ManifestDataset(filepath=str(tmp_path / "samples.csv"))
    assert not dataset.exists()
    dataset.save(pd.DataFrame([row]))
    (sample,) = dataset.load()
    assert sample.image_id == "007"
    assert sample.magnification is None
    assert sample.image_path == tmp_path / "images/drawn/007.tif"
    with pytest.raises(DatasetError, match="split"):
        dataset.save(pd.DataFrame([row | {"split": "holdout"}]))
    assert dataset.load() == [sample], "what was there must outlive a failed save"


def test_a_model_predicts_the_same_after_loading(tmp_path: Path) -> None:
    from nucseg.models.bundle import ModelBundle
    from nucseg.models.registry import create_model
    from nucseg.models.run import RunRecord

    architecture = {"in_channels": 1, "n_rays": 8, "unet_n_depth": 1, "unet_n_filter_base": 8, "net_conv_after_unet": 8}
    bundle = ModelBundle("mine", create_model("stardist", architecture), parse_transforms([]), RunRecord(seed=3))
    dataset = ModelDataset(filepath=str(tmp_path / "new"))
    assert not dataset.exists()
    dataset.save(bundle)
    assert dataset.exists()
    loaded = dataset.load()
    assert (loaded.name, loaded.run) == ("new", RunRecord(seed=3))
    image = np.random.default_rng(0).random((32, 32, 1), np.float32)
    before, after = (predict_whole(each.model, [image], score_threshold=0.3)[0] for each in (bundle, loaded))
    assert np.array_equal(before.labels, after.labels)
    assert np.array_equal(before.scores, after.scores)
    with pytest.raises(DatasetError, match="nowhere"):
        ModelDataset(filepath=str(tmp_path / "nowhere")).load()
