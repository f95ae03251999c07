"""A manifest of synthetic samples, a small model, and a way to run a pipeline in memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

from nucseg.core.types import Sample
from nucseg.images.io import write_image, write_labels
from nucseg.images.transforms import parse_transforms

TRANSFORMS = [{"name": "normalize"}]


class Kept(MemoryDataset):
    """Keeps its value after the last node that reads it, for the test to look at."""

    def __init__(self) -> None:
        super().__init__(copy_mode="assign")

    def _release(self) -> None:
        pass


class Collected(Kept):
    """Keeps the chunks of a node that yields partitions and gives functions that load them, as PartitionedDataset."""

    def save(self, data: dict[str, Any]) -> None:
        kept = self.load() if self.exists() else {}
        super().save(kept | {key: (lambda value=value: value) for key, value in data.items()})


@pytest.fixture
def run() -> Callable[..., dict[str, Any]]:
    """Run a pipeline on values and return the values of all its outputs."""

    def _run(pipeline: Pipeline, inputs: dict[str, Any], collected: tuple[str, ...] = ()) -> dict[str, Any]:
        catalog = DataCatalog({name: MemoryDataset(value, copy_mode="assign") for name, value in inputs.items()})
        for name in pipeline.all_outputs():
            catalog[name] = Collected() if name in collected else Kept()
        SequentialRunner().run(pipeline, catalog)
        return {name: catalog.load(name) for name in pipeline.all_outputs() if catalog[name].exists()}

    return _run


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory, draw_nuclei: Callable, make_sample: Callable) -> list[Sample]:
    """Two training images, one for validation, two for the test; the last of them is empty."""
    folder = tmp_path_factory.mktemp("primary")
    made = []
    for number, split in enumerate(("train", "train", "val", "test", "test")):
        image, labels = draw_nuclei((64, 80), n=6, seed=number)
        if number == 4:
            labels = np.zeros_like(labels)
        paths = folder / f"images/{number}.tif", folder / f"labels/{number}.tif"
        write_image(paths[0], image)
        write_labels(paths[1], labels)
        made.append(
            make_sample(
                *paths,
                image_id=f"image{number}",
                split=split,
                width=80,
                n_nuclei=int(labels.max()),
                median_diameter_px=14.0 if labels.any() else None,
            )
        )
    return made


@pytest.fixture(scope="session")
def model(architectures: dict[str, Any]) -> Any:
    """A tiny StarDist model with random weights."""
    import keras

    from nucseg.models.bundle import ModelBundle
    from nucseg.models.registry import create_model
    from nucseg.models.run import RunRecord

    keras.utils.set_random_seed(0)
    return ModelBundle(
        "stardist", create_model("stardist", architectures["stardist"]), parse_transforms(TRANSFORMS), RunRecord(seed=0)
    )
