from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nucseg.augment.config import AugmentationConfig
from nucseg.datasets.config import DownloadConfig, ProcessingConfig
from nucseg.pipelines import data_augmentations, data_download, data_processing

PROCESSING = ProcessingConfig(transforms=())


def test_download_and_processing_of_the_demo(run: Callable, tmp_path: Path) -> None:
    fetched = run(
        data_download.create_pipeline(),
        {"raw_folder": tmp_path, "params:data_download": DownloadConfig.model_validate({"datasets": "demo"})},
    )
    assert list(fetched["archives"]) == ["demo"]

    made = run(
        data_processing.create_pipeline(),
        {"archives": fetched["archives"], "params:data_preprocessing": PROCESSING},
        collected=("images", "labels"),
    )
    assert sorted(made["samples"]["split"]) == ["test", "train", "train", "val"]
    assert made["rejected"].empty
    assert set(made["images"]) == set(made["labels"]) == set("demo/" + made["samples"]["image_id"])
    # The 125 nuclei of the image: those on a border between quadrants are cut in two or four.
    assert made["samples"]["n_nuclei"].sum() == sum(labels().max() for labels in made["labels"].values()) == 137
    for key, load in made["labels"].items():
        labels = load()
        assert labels.shape == made["images"][key]().shape == (256, 256)
        assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))


def test_augmentations(run: Callable, samples: list) -> None:
    config = AugmentationConfig.model_validate({"transforms": [{"name": "flip", "p": 1.0}]})
    made = run(data_augmentations.create_pipeline(), {"params:data_augmentations": config, "samples": samples})
    assert isinstance(made["augmentation_preview"], Figure)

    from nucseg.augment.augmenter import Augmenter

    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    flipped, _ = Augmenter.from_dict(made["augmenter"])(image, np.zeros((3, 4), np.int32), 0)
    assert not np.array_equal(flipped, image / np.float32(255))
    assert np.array_equal(np.sort(flipped.ravel()), np.sort((image / np.float32(255)).ravel()))
