"""What is measured and filtered in a run, and written again without predicting."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from skimage.color import rgb_from_hed
from skimage.segmentation import expand_labels

from nucseg.batch.refine import refine_results
from nucseg.core.errors import ConfigError
from nucseg.core.validation import checked
from nucseg.images.stains import density
from nucseg.reporting.options import BatchOptions


@pytest.fixture
def field(tmp_path, draw_nuclei):
    """Two channels of a field in one file: nuclei, and planted intensities of 8 x label on 5."""
    image, labels = draw_nuclei((150, 210), 30, seed=2, noise=0, gap=5)
    planted = (5 + 8 * labels).astype(np.uint8)
    stack = np.stack([image, planted])
    metadata = {
        "axes": "CYX",
        "Channel": {"Name": ["DAPI", "GFP"]},
        "PhysicalSizeX": 0.5,
        "PhysicalSizeY": 0.5,
    }
    tifffile.imwrite(tmp_path / "A01_DAPI.ome.tif", stack, metadata=metadata)
    return tmp_path / "A01_DAPI.ome.tif", image, labels, planted


def table(tmp_path, output="out"):
    return pd.read_parquet(tmp_path / output / "table.parquet")


@pytest.mark.parametrize("tile", [None, 64])
def test_all_channels_of_the_file_are_measured(run, field, tmp_path, tile):
    path, image, _, planted = field
    (outcome,) = run(path, channel="DAPI", measure=("all",), formats=("table", "labels"), tile=tile)
    assert outcome.error is None
    assert outcome.notes[-1] == "measured: DAPI, GFP."
    rows = table(tmp_path)
    found = tifffile.imread(tmp_path / "out/labels/A01_DAPI.tif")
    for number, row in enumerate(rows.to_dict("records"), start=1):
        for name, channel in (("DAPI", image), ("GFP", planted)):
            pixels = channel[found == number].astype(float)
            assert row[f"nucleus_mean_{name}"] == pytest.approx(pixels.mean(), rel=1e-12)
            assert row[f"nucleus_integrated_{name}"] == pixels.sum()
    assert (rows["ring_median_GFP"] == 5).all()
    assert sorted(rows["nucleus_median_GFP"]) == [5 + 8 * number for number in range(1, 31)]
    csv = pd.read_csv(tmp_path / "out/table.csv")
    pd.testing.assert_frame_equal(csv, rows, check_dtype=False)


def test_a_stain_is_predicted_and_measured_and_the_picture_stays_in_colour(run, tmp_path, draw_nuclei):
    image, labels = draw_nuclei((150, 210), 30, seed=2, noise=0, gap=5)
    light = rgb_from_hed[[0, 2]].T @ np.array([0.7 * (image / image.max()).ravel(), 0.2 * (labels > 0).ravel()])
    colours = np.rint(255 * 10**-light.T).astype(np.uint8).reshape(*image.shape, 3)
    path = tmp_path / "ihc.tif"
    tifffile.imwrite(path, colours, photometric="rgb")
    formats = ("table", "labels", "zarr")
    (alone,) = run(path, channel="hematoxylin", formats=formats, output="alone")
    (outcome,) = run(path, channel="hematoxylin", measure=("dab",), formats=formats, tile=64)
    assert alone.error is outcome.error is None
    assert "--channel" not in " ".join(outcome.notes)
    found = tifffile.imread(tmp_path / "out/labels/ihc.tif")
    whole = tifffile.imread(tmp_path / "alone/labels/ihc.tif")
    rows, own = table(tmp_path), table(tmp_path, "alone")
    assert len(rows) == len(own) == found.max() > 0
    assert len(np.unique(np.stack([found.ravel(), whole.ravel()]), axis=1).T) == len(rows) + 1  # the same to the pixel
    for number in range(1, found.max() + 1):
        assert rows["nucleus_mean_dab"][number - 1] == pytest.approx(
            density(colours, "dab")[found == number].mean(), rel=1e-6
        )
        expected = density(colours, "hematoxylin")[whole == number].mean()
        assert own["intensity_mean"][number - 1] == pytest.approx(expected, rel=1e-6)
    stored = zarr.open_group(tmp_path / "out/zarr/ihc.ome.zarr", mode="r")["0"]
    assert np.array_equal(np.moveaxis(stored[0, :, 0] if stored.ndim == 5 else stored[:], 0, -1), colours)


def test_channels_by_name_number_and_in_other_files(run, field, tmp_path):
    path, _, _, planted = field
    tifffile.imwrite(tmp_path / "A01_RFP.tif", planted + 1)
    (outcome,) = run(path, channel=0, measure=("gfp", "nuclear=0", "RFP=*_RFP.tif"))
    assert outcome.notes[-1] == "measured: GFP, nuclear, RFP (A01_RFP.tif)."
    rows = table(tmp_path)
    np.testing.assert_array_equal(rows["nucleus_min_RFP"], rows["nucleus_min_GFP"] + 1)
    assert {"nucleus_mean_nuclear", "ring_area_um2"} <= set(rows)


def test_a_field_whose_file_is_missing_or_of_another_size_fails_and_the_others_go_on(run, field, tmp_path, engine):
    path, image, _, planted = field
    for well in ("A02", "A03", "A04"):
        tifffile.imwrite(tmp_path / f"{well}_DAPI.tif", image)
    tifffile.imwrite(tmp_path / "A02_GFP.tif", planted)
    tifffile.imwrite(tmp_path / "A04_GFP.tif", planted[1:])
    images = [tmp_path / f"{well}_DAPI.tif" for well in ("A02", "A03", "A04")]
    good, missing, small = run(*images, measure=("GFP=*_GFP.tif",))
    assert (good.error, good.nuclei) == (None, 30)
    assert missing.error.startswith(f"{images[1]}: no file matches *_GFP.tif")
    assert "A04_GFP.tif has 149 x 210 pixels and the image 150 x 210" in small.error
    assert "\n" not in missing.error + small.error
    assert engine.predicted == 1  # the others are refused before they are predicted
    (absent,) = run(path, channel=0, measure=("Cy5",), output="other")
    assert "has no channel 'Cy5'; allowed are DAPI, GFP; or the numbers 0 and 1" in absent.error


def test_expand_writes_cells_and_needs_the_pixel_size(run, field, tmp_path):
    path, image, *_ = field
    (outcome,) = run(path, channel=0, expand=2, formats=("labels", "cells", "table"))
    assert outcome.error is None
    nuclei = tifffile.imread(tmp_path / "out/labels/A01_DAPI.tif")
    cells = tifffile.imread(tmp_path / "out/cells/A01_DAPI.cells.tif")
    np.testing.assert_array_equal(cells, expand_labels(nuclei, 4))
    rows = table(tmp_path)
    np.testing.assert_array_equal(rows["cell_area"], np.bincount(cells.ravel())[1:])
    np.testing.assert_array_equal(rows["cell_area_um2"], rows["cell_area"] / 4)
    tifffile.imwrite(tmp_path / "plain.tif", image)
    for option in ({"expand": 2}, {"min_area": 20}, {"max_area": 20}):
        (outcome,) = run(tmp_path / "plain.tif", output="plain", **option)
        assert "its pixel size is unknown" in outcome.error
        assert "--pixel-size" in outcome.error
    assert run(tmp_path / "plain.tif", output="plain", expand="4px", pixel_size=0.5)[0].error is None


def test_filters_by_area_and_border(run, field, tmp_path):
    _, image, *_ = field
    tifffile.imwrite(tmp_path / "cut.tif", image[20:])  # cuts through nuclei
    run(tmp_path / "cut.tif")
    everything = table(tmp_path)
    assert 0 < everything["touches_border"].sum() < len(everything)
    middle = everything["area"].median()
    for number, (options, expected) in enumerate(
        [
            ({"min_area": f"{middle}px"}, everything["area"] >= middle),
            ({"max_area": middle / 4, "pixel_size": 0.5}, everything["area"] <= middle),
            ({"exclude_border": True}, ~everything["touches_border"]),
        ]
    ):
        (outcome,) = run(tmp_path / "cut.tif", output=str(number), **options)
        rows = table(tmp_path, str(number))
        assert outcome.nuclei == len(rows) == expected.sum() < len(everything)
        assert rows["label"].tolist() == list(range(1, len(rows) + 1))
        np.testing.assert_allclose(rows["centroid-0"], everything["centroid-0"][expected])


def test_resume_sees_changed_options_and_predicts_again_only_where_it_must(run, field, tmp_path, engine):
    path, _, _, planted = field
    tifffile.imwrite(tmp_path / "A01_RFP.tif", planted)
    options = {"channel": 0, "measure": ("RFP=*_RFP.tif",), "resume": True}
    run(path, **options)
    assert run(path, **options)[0].skipped
    for changed in ({"min_area": "200px"}, {"formats": ("table", "labels")}, {"expand": 1.0}):
        (outcome,) = run(path, **{**options, **changed})
        assert (outcome.error, outcome.skipped) == (None, False)
    assert engine.predicted == 1
    run(path, **options)
    tifffile.imwrite(tmp_path / "A01_RFP.tif", planted.astype(np.uint16) + 1000)
    (outcome,) = run(path, **options)
    assert not outcome.skipped
    assert table(tmp_path)["nucleus_min_RFP"].min() > 1000
    assert engine.predicted == 1
    run(path, **{**options, "score_threshold": 0.9})
    assert engine.predicted == 2
    stored = tmp_path / "out/.nucseg/A01_DAPI.nuclei.npz"
    whole = stored.read_bytes()
    for damaged in (whole[:-40], whole[:200]):
        stored.write_bytes(damaged)
        assert run(path, **{**options, "score_threshold": 0.9, "min_area": "90px"})[0].error is None
        (tmp_path / "out/table/A01_DAPI.csv").unlink()
    assert engine.predicted == 4


@pytest.mark.parametrize("tile", [None, 64])
def test_refined_results_are_those_of_a_prediction_with_these_options(run, field, tmp_path, engine, tile):
    path, *_ = field
    first = {"channel": 0, "formats": ("labels", "geojson", "table"), "measure": ("all",), "tile": tile}
    (before,) = run(path, **first)
    threshold = round(float(table(tmp_path)["score"].median()), 4)
    changes = {"score_threshold": threshold, "max_area": "45", "expand": "1.5", "formats": ("cells", "coco")}
    (refined,) = refine_results(tmp_path / "out", changes)
    assert engine.predicted == 1
    assert refined.error is None
    assert refined.notes == before.notes
    options = {**first, **changes, "formats": (*first["formats"], "cells", "coco")}
    (predicted,) = run(path, output="again", **options)
    assert 0 < predicted.nuclei == refined.nuclei < before.nuclei
    for file in predicted.files:
        other = tmp_path / "out" / file.relative_to(tmp_path / "again")
        if file.suffix != ".parquet":
            assert other.read_bytes() == file.read_bytes(), file
    pd.testing.assert_frame_equal(table(tmp_path), table(tmp_path, "again"))
    for output in ("out", "again"):
        (row,) = pd.read_csv(tmp_path / output / "summary.csv").to_dict("records")
        assert (row["nuclei"], row["source"]) == (refined.nuclei, str(path))
    # Whatever was left out before: filters begin with all that was found.
    (back,) = refine_results(tmp_path / "out", {})
    assert back.nuclei == before.nuclei
    assert engine.predicted == 2
    assert run(path, resume=True, **{**options, "score_threshold": None, "max_area": None})[0].skipped


def test_what_cannot_be_refined_is_said_and_stays(run, field, tmp_path):
    path, image, *_ = field
    tifffile.imwrite(tmp_path / "b.tif", image)
    run(path, channel=0)
    run(tmp_path / "b.tif", score_threshold=0.3)
    before = table(tmp_path)
    lower, fine = refine_results(tmp_path / "out", {"score_threshold": 0.4})
    assert lower.error == (
        f"{path}: nuclei with scores below 0.5 are not stored; for --score-threshold 0.4 predict it again."
    )
    assert fine.error is None
    pd.testing.assert_frame_equal(table(tmp_path), before)
    tifffile.imwrite(tmp_path / "b.tif", image[:-1])
    (tmp_path / "out/.nucseg/A01_DAPI.nuclei.npz").unlink()
    unstored, changed = refine_results(tmp_path / "out", {"min_area": "100px"})
    assert "its nuclei are not stored in" in unstored.error
    assert "b.tif: is missing or has changed" in changed.error
    rows = pd.read_csv(tmp_path / "out/summary.csv")
    assert rows["status"].tolist() == ["done", "done"]
    pd.testing.assert_frame_equal(table(tmp_path), before)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"measure": ("all",), "formats": ("labels",)}, "must include table or .* or spatialdata, which measure"),
        ({"expand": 5, "formats": ("labels",)}, "or cells, which expand needs"),
        ({"expand": 5}, r"formats: \('labels',\) is not allowed"),
        ({"formats": ("cells",)}, "which needs expand"),
        ({"measure": ("GFP=a.tif=", "GFP=*.tif")}, "each name once"),
        ({"measure": ("*.tif",)}, "NAME=PATTERN"),
        ({"measure": ("GFP=*/*.tif",)}, r"must have one `\*`"),
        ({"min_area": "5 um"}, "must be a number above 0, in micrometres, or in pixels"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        checked(BatchOptions, options)


def test_the_record_holds_json(run, field, tmp_path):
    run(field[0], channel=0, measure=("all",))
    record = json.loads((tmp_path / "out/.nucseg/A01_DAPI.json").read_text())
    assert record["options"]["measure"] == ["all"]
