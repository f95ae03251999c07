"""Stacks in depth and time: which planes are predicted, and what is written of them."""

import json
import zipfile
from functools import partial

import numpy as np
import pandas as pd
import pytest
import tifffile
from roifile import ImagejRoi

from nucseg.batch.refine import refine_results
from nucseg.core.errors import ConfigError

SHAPE = (64, 96)


@pytest.fixture
def run(run):
    return partial(run, formats=("labels", "table"))


def squares(*corners, side=12):
    """Draw bright squares at the given corners."""
    image = np.full(SHAPE, 10, np.uint8)
    for row, column in corners:
        image[row : row + side, column : column + side] = 200
    return image


@pytest.fixture
def stack(tmp_path):
    """Two time points of three planes in two channels; the second channel holds 20 x t + 5 x z + 1 everywhere."""
    planes = np.empty((2, 3, 2, *SHAPE), np.uint8)
    for t, z in np.ndindex(2, 3):
        # In each plane one nucleus more than in the plane before.
        planes[t, z, 0] = squares(*[(5 + 10 * t, 4 + 20 * n) for n in range(z + 1)])
        planes[t, z, 1] = 20 * t + 5 * z + 1
    path = tmp_path / "stack.ome.tif"
    metadata = {"axes": "TZCYX", "Channel": {"Name": ["DAPI", "GFP"]}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(path, planes, metadata=metadata)
    return path, planes


def test_each_plane_is_predicted_and_written_as_a_stack(run, stack, tmp_path, engine):
    path, planes = stack
    formats = ("labels", "cells", "table", "geojson", "geojson_zip", "rois")
    (outcome,) = run(path, channel="DAPI", plane=("t=all", "z=all"), measure=("all",), expand="2px", formats=formats)
    assert (outcome.error, outcome.nuclei, engine.predicted) == (None, 2 * (1 + 2 + 3), 6)
    with tifffile.TiffFile(tmp_path / "out/labels/stack.tif") as file:
        assert file.series[0].axes == "TZYX"
        labels = file.asarray()
        assert file.pages[0].get_resolution(5) == (2, 2)  # per micrometre
    np.testing.assert_array_equal(labels > 0, planes[:, :, 0] == 200)
    # No number occurs in two planes.
    assert [len(np.unique(plane[plane > 0])) for plane in labels.reshape(6, *SHAPE)] == [1, 2, 3, 1, 2, 3]
    assert np.unique(labels[labels > 0]).tolist() == list(range(1, 13))
    cells = tifffile.imread(tmp_path / "out/cells/stack.cells.tif")
    np.testing.assert_array_equal(cells[labels > 0], labels[labels > 0])
    assert (cells > 0).sum() > (labels > 0).sum()

    rows = pd.read_parquet(tmp_path / "out/table.parquet")
    pd.testing.assert_frame_equal(rows, pd.read_parquet(tmp_path / "out/table/stack.parquet"))
    assert rows.columns[:4].tolist() == ["image", "t", "z", "label"]
    assert rows["label"].tolist() == list(range(1, 13))
    assert rows.groupby(["t", "z"]).size().tolist() == [1, 2, 3, 1, 2, 3]
    centres = rows[["t", "z", "centroid-0", "centroid-1"]].round().astype(int).to_numpy().T
    assert labels[tuple(centres)].tolist() == rows["label"].tolist()
    assert set(rows["nucleus_mean_DAPI"]) == {200}
    planted = (20 * rows["t"] + 5 * rows["z"] + 1).tolist()
    assert rows["nucleus_mean_GFP"].tolist() == rows["cell_max_GFP"].tolist() == planted

    features = json.loads((tmp_path / "out/geojson/stack.geojson").read_text())["features"]
    found = [(each["geometry"]["plane"], each["properties"]["measurements"]["Label"]) for each in features]
    assert found == [
        ({"c": -1, "z": z, "t": t}, label) for t, z, label in rows[["t", "z", "label"]].to_numpy().tolist()
    ]
    assert features[0]["nucleusGeometry"]["plane"] == found[0][0]
    with zipfile.ZipFile(tmp_path / "out/rois/stack.zip") as archive:
        rois = [ImagejRoi.frombytes(archive.read(name)) for name in archive.namelist()]
    positions = [(roi.t_position - 1, roi.z_position - 1, int(roi.name.split("-")[1])) for roi in rois]
    assert positions == list(map(tuple, rows[["t", "z", "label"]].to_numpy().tolist()))


@pytest.mark.parametrize(
    "plane, axes, count, columns",
    [
        (("t=1", "z=2"), "YX", 3, {"t": {1}, "z": {2}}),
        (("z=1-2", "t=0"), "ZYX", 5, {"t": {0}, "z": {1, 2}}),
        (("z=max", "t=all"), "TYX", 6, {"t": {0, 1}}),
        (("t=max", "z=0"), "YX", 1, {"z": {0}}),
    ],
)
def test_planes_are_chosen(run, stack, tmp_path, plane, axes, count, columns):
    path, _ = stack
    (outcome,) = run(path, channel=0, plane=plane)
    assert (outcome.error, outcome.nuclei) == (None, count)
    with tifffile.TiffFile(tmp_path / "out/labels/stack.tif") as file:
        assert file.series[0].axes == axes
    rows = pd.read_csv(tmp_path / "out/table.csv")
    assert {axis: set(rows[axis]) for axis in "tz" if axis in rows} == columns


def test_a_resumed_run_predicts_only_what_is_missing(run, stack, tmp_path, engine):
    path, _ = stack
    options = {"channel": 0, "plane": ("t=all", "z=all")}
    (first,) = run(path, **options)
    before = (tmp_path / "out/labels/stack.tif").read_bytes()
    (again,) = run(path, **options)
    assert "exists; choose another folder" in again.error
    (skipped,) = run(path, resume=True, **options)
    assert (skipped.skipped, skipped.nuclei) == (True, first.nuclei)
    assert engine.predicted == 6
    (tmp_path / "out/labels/stack.tif").unlink()
    (tmp_path / "out/.nucseg/stack.planes/t=1,z=0.nuclei.npz").write_bytes(b"damaged")
    (resumed,) = run(path, resume=True, **options)
    assert (resumed.error, resumed.nuclei, engine.predicted) == (None, first.nuclei, 7)
    assert (tmp_path / "out/labels/stack.tif").read_bytes() == before
    (replaced,) = run(path, overwrite=True, channel=0, plane=("t=0", "z=all"))
    assert (replaced.error, replaced.nuclei) == (None, 6)
    assert pd.read_csv(tmp_path / "out/summary.csv")["nuclei"].tolist() == [6]


def test_a_stack_is_refined(run, stack, tmp_path, engine):
    path, _ = stack
    run(path, channel=0, plane=("t=0", "z=all"))
    whole = pd.read_csv(tmp_path / "out/table.csv")
    (outcome,) = refine_results(tmp_path / "out", {"min_area": "1000px"})
    assert (outcome.error, outcome.nuclei, engine.predicted) == (None, 0, 3)
    assert not tifffile.imread(tmp_path / "out/labels/stack.tif").any()
    (outcome,) = refine_results(tmp_path / "out", {"measure": ("GFP",), "formats": ("rois",)})
    assert outcome.nuclei == 6
    rows = pd.read_csv(tmp_path / "out/table.csv")
    pd.testing.assert_frame_equal(
        rows[whole.columns.drop(["intensity_mean", "intensity_min", "intensity_max"])],
        whole.drop(columns=["intensity_mean", "intensity_min", "intensity_max"]),
    )
    assert rows["nucleus_mean_GFP"].tolist() == (5 * rows["z"] + 1).tolist()


def test_what_cannot_be_chosen_is_one_line(run, stack, tmp_path):
    path, _ = stack
    flat = tmp_path / "flat.tif"
    tifffile.imwrite(flat, squares((5, 5)))
    for plane, formats, image, said in [
        (("z=3", "t=0"), ("labels",), path, "stack.ome.tif: has no plane z=3; allowed are z=0 to z=2."),
        (("z=all",), ("labels",), path, "stack.ome.tif: holds 2 planes along T, 2 channels; choose"),
        (("angle=0",), ("labels",), path, "has no planes along 'angle'; the axes with planes are: t (2), z (3)."),
        (("z=all", "t=0"), ("labels", "coco"), path, "coco cannot hold 3 planes; choose one plane (--plane z=3), or"),
        (("z=1",), ("labels",), flat, "flat.tif: has no plane z=1; allowed is z=0."),
    ]:
        (outcome,) = run(image, channel=None if len(plane) == 1 else 0, plane=plane, formats=formats)
        assert said in outcome.error, outcome.error
        assert "\n" not in outcome.error
    assert [each.name for each in (tmp_path / "out").iterdir() if each.is_dir()] == []
    (outcome,) = run(flat, plane=("z=all", "t=0"))
    assert (outcome.error, outcome.nuclei) == (None, 1)
    assert tifffile.imread(tmp_path / "out/labels/flat.tif").shape == SHAPE


def test_a_damaged_plane_is_named(run, tmp_path):
    pixels = np.stack([squares((5, 5))] * 3).astype(np.float32)
    pixels[1, 3, 3] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata={"axes": "ZYX"})
    (outcome,) = run(tmp_path / "a.tif", plane=("z=all",))
    assert outcome.error.startswith(f"plane z=1 of {tmp_path}/a.tif: ")
    assert "NaN" in outcome.error
    assert not (tmp_path / "out/labels").exists()


@pytest.fixture
def moving(tmp_path):
    """Three frames: one nucleus moves, one comes, one goes, and two that touch the same place change roles."""
    frames = [
        squares((4, 4), (40, 4)),
        squares((7, 7), (40, 4), (4, 70)),
        squares((10, 10), (4, 73)),
    ]
    path = tmp_path / "moving.tif"
    tifffile.imwrite(path, np.stack(frames), imagej=True, resolution=(2, 2), metadata={"axes": "TYX", "unit": "um"})
    return path


def test_linked_nuclei_keep_their_number(run, moving, tmp_path):
    (outcome,) = run(moving, plane=("t=all",), link=True, formats=("labels", "table"))
    assert (outcome.error, outcome.nuclei) == (None, 3)
    assert tmp_path / "out/tracks/moving.csv" in outcome.files
    labels = tifffile.imread(tmp_path / "out/labels/moving.tif")
    moved, gone, come = labels[0, 6, 6], labels[0, 45, 6], labels[1, 6, 75]
    assert {moved, gone, come} == {1, 2, 3}
    assert [labels[1, 9, 9], labels[2, 12, 12]] == [moved, moved]
    assert [labels[1, 45, 6], labels[2, 6, 78]] == [gone, come]
    assert [np.unique(frame).tolist() for frame in labels] == [
        sorted([0, moved, gone]), sorted([0, moved, gone, come]), sorted([0, moved, come])
    ]  # fmt: skip
    tracks = pd.read_csv(tmp_path / "out/tracks/moving.csv")
    assert tracks["TRACK_ID"].is_monotonic_increasing
    of_moved = tracks[tracks["TRACK_ID"] == moved]
    assert of_moved["FRAME"].tolist() == of_moved["t"].tolist() == [0, 1, 2]
    # A square of 12 pixels from pixel 4 on, with pixels of half a micrometre.
    assert of_moved["POSITION_X"].tolist() == of_moved["POSITION_Y"].tolist() == [4.75, 6.25, 7.75]
    assert of_moved["RADIUS"].to_numpy() == pytest.approx(6 / np.sqrt(np.pi))
    table = pd.read_csv(tmp_path / "out/table.csv")
    assert sorted(zip(table["t"], table["label"], strict=True)) == sorted(
        zip(tracks["FRAME"], tracks["TRACK_ID"], strict=True)
    )


def test_links_can_be_changed_without_predicting(run, moving, tmp_path, engine):
    run(moving, plane=("t=all",), link=True, link_iou=0.9)
    assert pd.read_csv(tmp_path / "out/tracks/moving.csv")["TRACK_ID"].nunique() == 6
    (outcome,) = refine_results(tmp_path / "out", {"link_iou": 0.3})
    assert (outcome.error, outcome.nuclei, engine.predicted) == (None, 3, 3)
    assert pd.read_csv(tmp_path / "out/tracks/moving.csv")["TRACK_ID"].nunique() == 3


def test_tracks_of_an_earlier_run_do_not_stop_a_refinement(run, moving, tmp_path):
    run(moving, plane=("t=all",), link=True)
    run(moving, plane=("t=all",), overwrite=True)
    (outcome,) = refine_results(tmp_path / "out", {})
    assert (outcome.error, outcome.nuclei) == (None, 7)


def test_what_cannot_be_linked_is_refused(run, stack, moving, tmp_path):
    (outcome,) = run(stack[0], channel=0, plane=("t=all", "z=all"), link=True)
    assert "nuclei are linked along one axis; choose one plane of the other, such as t=0" in outcome.error
    with pytest.raises(ConfigError, match="link: True is not allowed; it needs plane"):
        run(moving, link=True)
    with pytest.raises(ConfigError, match="includes tracks, which needs link"):
        run(moving, plane=("t=all",), formats=("tracks",))
