"""The store of the format `spatialdata`, read by Zarr and, in a Python of its own, by the package SpatialData."""

import json
import os
import subprocess

import numpy as np
import pandas as pd
import pytest
import zarr

from nucseg.core.types import Instances
from nucseg.images.source import array_source
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.measurements.field import Field, MeasuredChannel
from nucseg.reporting.formats import ome_zarr, write_format

READ = """
import json, sys
import numpy as np
import spatialdata
from spatialdata.transformations import get_transformation

store = spatialdata.read_zarr(sys.argv[1])
labels, table = store["nuclei"], store["table"]
levels = [np.asarray(level["image"].data).tolist() for level in labels.children.values()]
rows = store["table"].to_df()
attached = spatialdata.match_element_to_table(store, "nuclei", "table")[1]
print(json.dumps({
    "levels": levels,
    "rows": rows.values.tolist(),
    "columns": rows.columns.tolist(),
    "labels": table.obs["label"].tolist(),
    "region": table.obs["region"].tolist(),
    "attached": len(attached),
    "systems": {name: each.to_affine_matrix(("y", "x"), ("y", "x")).tolist()
                for name, each in get_transformation(labels, get_all=True).items()},
}))
"""


@pytest.fixture
def field(draw_nuclei) -> Field:
    image, labels = draw_nuclei((70, 90), 9, seed=1)
    nuclei = StitchedLabels.of(Instances(labels, np.linspace(0.9, 0.5, 9, dtype=np.float32)))
    source = array_source(image, "a", pixel_size=(0.25, 0.5))
    return Field(nuclei, source, "a", (MeasuredChannel("DAPI", source),))


@pytest.fixture
def store(field, tmp_path, monkeypatch):
    monkeypatch.setattr(ome_zarr, "_LAST_LEVEL_SIDE", 50)
    return write_format("spatialdata", field, tmp_path)[0]


def test_labels_and_table_by_zarr(store, field, tmp_path):
    root = zarr.open_group(store, mode="r")
    assert root.attrs["spatialdata_attrs"]["version"] == "0.2"
    labels = field.nuclei.instances().labels
    np.testing.assert_array_equal(root["labels/nuclei/0"][:], labels)
    np.testing.assert_array_equal(root["labels/nuclei/1"][:], labels[::2, ::2])
    write_format("table", field, tmp_path)
    expected = pd.read_parquet(tmp_path / "table/a.parquet").drop(columns=["image", "label"])
    table = root["tables/table"]
    assert table["var/_index"][:].tolist() == expected.columns.tolist()
    np.testing.assert_array_equal(table["X"][:], expected.to_numpy(float))
    assert table["obs/label"][:].tolist() == list(range(1, 10))


def test_an_image_without_nuclei(tmp_path):
    nothing = Field(StitchedLabels.of(Instances.none((20, 30))), array_source(np.zeros((20, 30), np.uint8)), "a")
    root = zarr.open_group(write_format("spatialdata", nothing, tmp_path)[0], mode="r")
    assert root["tables/table/X"].shape[0] == 0
    assert "area" in root["tables/table/var/_index"][:].tolist()
    (image,) = root["labels/nuclei"].attrs["ome"]["multiscales"]
    assert [each["output"]["name"] for each in image["coordinateTransformations"]] == ["global"]


def test_spatialdata_reads_it(store, field, tmp_path):
    python = os.environ.get("NUCSEG_SPATIALDATA")
    if not python:
        give_up = pytest.fail if "spatialdata" in os.environ.get("NUCSEG_REQUIRE", "") else pytest.skip
        give_up("needs NUCSEG_SPATIALDATA, the path of a Python that has the package spatialdata")
    answer = subprocess.run([python, "-W", "ignore", "-c", READ, store], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout.splitlines()[-1])
    labels = field.nuclei.instances().labels
    assert [np.shape(level) for level in found["levels"]] == [(70, 90), (35, 45)]
    np.testing.assert_array_equal(found["levels"][0], labels)
    write_format("table", field, tmp_path)
    expected = pd.read_parquet(tmp_path / "table/a.parquet").drop(columns=["image", "label"])
    assert found["columns"] == expected.columns.tolist()
    np.testing.assert_array_equal(np.array(found["rows"], float), expected.to_numpy(float))
    assert found["labels"] == list(range(1, 10))
    assert set(found["region"]) == {"nuclei"}
    assert found["attached"] == 9
    assert found["systems"]["global"] == np.eye(3).tolist()
    assert found["systems"]["micrometer"] == np.diag([0.25, 0.5, 1.0]).tolist()
