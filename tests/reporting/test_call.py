"""`nucseg.write`."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile

import nucseg
from nucseg.core.errors import ConfigError, InputError


@pytest.fixture
def field(tmp_path, draw_nuclei):
    """A stack of two planes in two channels, and the nuclei of its second plane; GFP is 7 there, and 9 beside it."""
    image, labels = draw_nuclei((64, 80), 5, seed=4, noise=0, gap=6)
    planes = np.stack([np.stack([image * 0, 9 + 0 * image]), np.stack([image, 7 + 0 * image])])
    path = tmp_path / "A01.ome.tif"
    names = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"]}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(path, planes, metadata=names)
    return path, nucseg.Instances(labels.astype(np.int32), np.linspace(0.9, 0.5, 5, dtype=np.float32))


def test_files_are_those_of_the_command(field, tmp_path):
    path, found = field
    options = {"channel": "DAPI", "plane": "z=1", "measure": ["all"], "expand": 1}
    formats = ("labels", "cells", "table", "geojson", "overlay")
    files = nucseg.write(found, path, tmp_path / "out", formats=formats, **options)
    assert [file.relative_to(tmp_path / "out").as_posix() for file in files] == [
        "labels/A01.tif", "cells/A01.cells.tif", "table/A01.parquet", "table/A01.csv", "geojson/A01.geojson",
        "overlay/A01.png",
    ]  # fmt: skip
    assert all(file.is_file() for file in files)
    np.testing.assert_array_equal(tifffile.imread(files[0]), found.labels)
    rows = pd.read_parquet(files[2])
    assert rows["z"].tolist() == [1] * 5
    assert rows["nucleus_mean_GFP"].tolist() == [7.0] * 5
    np.testing.assert_allclose(rows["score"], found.scores)
    np.testing.assert_array_equal(rows["area_um2"], found.areas / 4)
    assert len(json.loads(files[4].read_text())["features"]) == 5
    with pytest.raises(InputError, match=r"table/A01.parquet exists; choose another folder or name, or overwrite=True"):
        nucseg.write(found, path, tmp_path / "out", **options, formats=["table", "labels"])
    assert len(nucseg.write(found, path, tmp_path / "out", **options, formats="table", overwrite=True)) == 2


def test_an_array_has_the_name_image(field, tmp_path):
    _, found = field
    pixels = np.where(found.labels > 0, 90, 10).astype(np.uint8)
    (file,) = nucseg.write(found, pixels, tmp_path / "out")
    assert file == tmp_path / "out/labels/image.tif"
    files = nucseg.write(found, pixels, tmp_path / "out", formats="table", name="plate/A01", pixel_size=(2.0, 3.0))
    assert files[1] == tmp_path / "out/table/plate/A01.csv"
    rows = pd.read_csv(files[1])
    assert set(rows["image"]) == {"plate/A01"}
    assert rows["intensity_mean"].tolist() == [90] * 5
    np.testing.assert_array_equal(rows["area_um2"], 6 * found.areas)


def test_what_does_not_fit_is_refused_and_nothing_is_written(field, tmp_path):
    path, found = field
    image = found.labels
    fewer = nucseg.Instances(found.labels, found.scores[:3])
    for given, options, error, said in [
        ((fewer, image), {}, InputError, r"found: 3 nuclei in \(64, 80\) do not belong to the image of \(64, 80\)"),
        ((found, image[:9]), {}, InputError, r"found: 5 nuclei in \(64, 80\) do not belong to the image of \(9, 80\)"),
        ((found, image), {"formats": "xls"}, ConfigError, "xls: allowed are labels"),
        ((found, image), {"formats": "tracks"}, ConfigError, "includes tracks, which needs link"),
        ((found, image), {"expand": 2, "formats": "cells"}, InputError, "give .*pixel_size|pixel size"),
        ((found, path), {"plane": "z=all", "channel": 0}, InputError, "2 planes along z are chosen; choose one"),
        ((found, path), {}, InputError, "holds 2 planes along Z"),
    ]:
        with pytest.raises(error, match=said):
            nucseg.write(*given, tmp_path / "out", **options)
    assert not list((tmp_path).glob("out/*"))
