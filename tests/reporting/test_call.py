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


def test_nuclei_that_formats_would_not_hold_are_refused(field, tmp_path):
    _, found = field
    labels, scores = found.labels, found.scores
    pieces = labels.copy()
    pieces[0, 0] = pieces[-1, -1] = 5
    corner = np.zeros((4, 4), np.int32)
    corner[1, 1] = corner[2, 2] = 1
    gap = np.where(labels == 2, 1, labels)
    for given, said in [
        (labels, "found: is of ndarray, not the nuclei that nucseg.predict returns; give those, or nucseg.Instances"),
        (nucseg.Instances(pieces, scores), "found: label 5 has several pieces, .* one 4-connected piece. Keep the lar"),
        (nucseg.Instances(corner, scores[:1]), "found: label 1 has several pieces"),
        (nucseg.Instances(gap, scores), r"found: no pixel has label 2; allowed are 1\.\.5 without gaps"),
        (nucseg.Instances(labels, scores * 10), "found: the score 9.0 is not allowed; allowed are 0 to 1"),
        (nucseg.Instances(labels, np.where(scores > 0.8, np.nan, scores)), "found: the score nan is not allowed"),
        (nucseg.Instances(labels, scores.astype(str)), "found: scores of dtype <U32 are no numbers"),
        (nucseg.Instances(labels, scores[:, None]), "found: 5 nuclei in .* do not belong to the image"),
        (nucseg.Instances(np.ma.masked_equal(labels, 3), scores), "found: is a masked array"),
    ]:
        pixels = np.ones(given.labels.shape if isinstance(given, nucseg.Instances) else given.shape, np.uint8)
        with pytest.raises(InputError, match=said):
            nucseg.write(given, pixels, tmp_path / "out", formats=("geojson", "table"))
    with pytest.raises(InputError, match="image: is a masked array"):
        nucseg.write(found, np.ma.masked_equal(labels, 3), tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    "name", ["../../x", "a/../x", "/tmp/x", "", ".", "a//b", "a/", "a\0b", "a\nb", "\ud800", 300 * "a", 3]
)
def test_a_name_that_is_no_path_below_the_folder_is_refused(field, tmp_path, name):
    _, found = field
    with pytest.raises(ConfigError, match=r"^name: .* is not allowed; it must be a name, or a path below the folder"):
        nucseg.write(found, found.labels, tmp_path / "out", name=name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "option, said",
    [
        ({"formats": None}, "formats: None is not allowed; it must be one or several of labels, "),
        ({"measure": 1.5, "formats": "table"}, "measure: 1.5 is not allowed; it must be `all`"),
        ({"pixel_size": -0.5}, r"pixel_size: -0\.5 is not allowed; it must be a number of micrometres from 0\.001 to"),
        ({"folder": None}, "folder: None is not allowed; it must be a path"),
    ],
)
def test_an_option_that_is_not_allowed_is_refused(field, tmp_path, option, said):
    _, found = field
    with pytest.raises(ConfigError, match=said):
        nucseg.write(**{"found": found, "image": found.labels, "folder": tmp_path / "out", **option})


def test_a_channel_is_measured_by_its_number(field, tmp_path):
    path, found = field
    files = nucseg.write(found, path, tmp_path, formats="table", channel=0, plane="z=1", measure=1)
    assert set(pd.read_csv(files[1])["nucleus_mean_GFP"]) == {7}
