from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from skimage.measure import regionprops
from skimage.segmentation import expand_labels

from mosaics import mosaic_of, mosaic_of_tiles
from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.images.source import array_source
from nucseg.measurements import table as table_module
from nucseg.measurements.field import Field, MeasuredChannel
from nucseg.measurements.regions import RING_GAP, RING_WIDTH, Cells
from nucseg.measurements.table import measure


def field_of(labels, image, *, pixel_size=None, expansion=0.0, mosaic=mosaic_of, **channels):
    found = Instances(labels, np.linspace(1, 0.5, labels.max(), dtype=np.float32))
    measured = tuple(MeasuredChannel(name, array_source(pixels)) for name, pixels in channels.items())
    return Field(mosaic(found), array_source(image, pixel_size=pixel_size), "a", measured, expansion)


def table_of(field):
    return pd.concat(measure(field), ignore_index=True)


def test_planted_intensities_come_back():
    """Nuclei of 100 x label on a background of 40, cells brighter by 10 x label, another nucleus's pixels left out."""
    labels = np.zeros((60, 90), np.int32)
    labels[20:30, 15:25] = 1
    labels[20:30, 32:42] = 2
    labels[40:50, 60:70] = 3
    cells = expand_labels(labels, 3)
    image = 40.0 + 10 * cells + 90 * labels
    image[20, 15] += 55
    rows = table_of(field_of(labels, image, expansion=3.0, GFP=image)).set_index("label")
    for number in (2, 3):
        assert rows.loc[number, "nucleus_mean_GFP"] == pytest.approx(40 + 100 * number)
        assert rows.loc[number, "nucleus_std_GFP"] == pytest.approx(0)
        assert rows.loc[number, "nucleus_mean_corrected_GFP"] == pytest.approx(100 * number)
        assert rows.loc[number, "nucleus_integrated_corrected_GFP"] == pytest.approx(100 * 100 * number)
        assert rows.loc[number, "nucleus_integrated_GFP"] == pytest.approx(100 * (40 + 100 * number))
        assert rows.loc[number, "cell_max_GFP"] == pytest.approx(40 + 100 * number)
        assert rows.loc[number, "cell_min_GFP"] == pytest.approx(40 + 10 * number)
    assert rows.loc[1, "nucleus_max_GFP"] == 195
    assert rows.loc[1, "nucleus_median_GFP"] == 140
    assert rows.loc[1, "nucleus_mean_GFP"] == pytest.approx(140.55)
    assert set(rows["ring_median_GFP"]) == {40}
    assert set(rows["ring_std_GFP"]) == {0}


@pytest.mark.parametrize("pixel_size, expansion", [(None, 0.0), ((0.5, 0.5), 4.0), ((0.4, 0.8), 2.5)])
def test_all_columns_are_those_of_scikit_image_on_the_whole(draw_nuclei, pixel_size, expansion):
    _, labels = draw_nuclei((110, 130), 25, seed=1, gap=1, radius=(3.0, 7.0))
    labels[:3, :4] = labels.max() + 1  # touches the border
    image = np.random.default_rng(0).integers(0, 2**16, labels.shape).astype(np.uint16)
    field = field_of(labels, image, pixel_size=pixel_size, expansion=expansion, GFP=image)
    rows = table_of(field)
    spacing = field.spacing
    regions = {"nucleus": labels}
    if expansion:
        regions["cell"] = expand_labels(labels, expansion, spacing=spacing)
    inner = expand_labels(labels, expansion + RING_GAP, spacing=spacing)
    outer = expand_labels(labels, expansion + RING_GAP + RING_WIDTH, spacing=spacing)
    regions["ring"] = np.where(inner == 0, outer, 0)
    for number in range(1, labels.max() + 1):
        row = rows.iloc[number - 1]
        region = regionprops((labels == number).astype(np.uint8))[0]
        assert row["area"] == region.area
        assert (row["centroid-0"], row["centroid-1"]) == pytest.approx(region.centroid)
        assert row["solidity"] == pytest.approx(region.solidity)
        assert row["circularity"] == pytest.approx(min(1, 4 * np.pi * region.area / region.perimeter**2))
        top, left, bottom, right = region.bbox
        assert row["touches_border"] == (min(top, left) == 0 or (bottom, right) >= labels.shape)
        background = image[regions["ring"] == number]
        background = np.median(background) if background.size else np.nan
        for name, where in regions.items():
            pixels = image[where == number].astype(float)
            if not pixels.size:
                assert np.isnan(row[f"{name}_mean_GFP"])
                continue
            expected = {
                "mean": pixels.mean(),
                "median": np.median(pixels),
                "std": pixels.std(),
                "min": pixels.min(),
                "max": pixels.max(),
                "integrated": pixels.sum(),
                "mean_corrected": pixels.mean() - background,
                "integrated_corrected": (pixels - background).sum(),
            }
            found = [row[f"{name}_{each}_GFP"] for each in expected]
            np.testing.assert_allclose(found, list(expected.values()), rtol=1e-12, atol=1e-6)
            if name != "nucleus":
                assert row[f"{name}_area"] == pixels.size


@pytest.mark.parametrize("side", [1024, 20])
def test_tiles_and_pieces_give_the_table_of_the_whole(draw_nuclei, monkeypatch, side):
    image, labels = draw_nuclei((150, 140), 40, seed=3, gap=0, radius=(3.0, 8.0))
    whole = table_of(field_of(labels, image, expansion=4.0, GFP=image))
    monkeypatch.setattr(table_module, "_SIDE", side)
    tiled = field_of(labels, image, expansion=4.0, GFP=image, mosaic=lambda found: mosaic_of_tiles(found, 50))
    assert len(list(tiled.nuclei.blocks())) > 4
    read = []
    source = tiled.channels[0].source
    object.__setattr__(source, "read", lambda window: (read.append(window), image[window.slices])[1])
    rows = table_of(tiled)
    # Numbers are given tile by tile: rows are compared by their places.
    whole, rows = (each.drop(columns=["label", "score"]) for each in (whole, rows))
    keys = ["bbox-0", "bbox-1", "bbox-2", "bbox-3"]
    pd.testing.assert_frame_equal(
        whole.sort_values(keys, ignore_index=True), rows.sort_values(keys, ignore_index=True), rtol=1e-12
    )
    assert max(max(window.shape) for window in read) < 120


def test_cells_of_windows_are_those_of_the_whole(draw_nuclei, monkeypatch):
    _, labels = draw_nuclei((80, 120), 30, seed=5, gap=0, radius=(3.0, 6.0))
    found = mosaic_of(Instances(labels, np.ones(labels.max(), np.float32)))
    expected = expand_labels(labels, 5)
    cells = Cells(found, 5.0, (1.0, 1.0))
    np.testing.assert_array_equal(cells.labels(Window.whole(labels.shape)), expected)
    monkeypatch.setattr("nucseg.measurements.regions._COLUMNS", 17)
    np.testing.assert_array_equal(cells.labels(Window(11, 23, 60, 101)), expected[11:60, 23:101])
    np.testing.assert_array_equal(np.where(labels > 0, expected, 0), labels)


def test_cells_do_not_grow_over_nuclei_that_a_filter_left_out_and_rings_leave_them_out():
    labels = np.zeros((40, 60), np.int32)
    labels[15:25, 10:20] = 1
    labels[15:25, 24:34] = 2  # left out
    image = np.where(labels == 2, 1000, 7)
    both = field_of(labels, image, expansion=6.0, GFP=image)
    first = np.array([True, False])
    whole = table_of(both).iloc[:1]
    filtered = replace(both, nuclei=both.nuclei.only(first, as_obstacles=True))
    pd.testing.assert_frame_equal(table_of(filtered), whole)
    cells = filtered.cells.labels(Window.whole(labels.shape))
    np.testing.assert_array_equal(cells, expand_labels(labels, 6) * (expand_labels(labels, 6) == 1))
    # As of a lower score, it would be none at all.
    alone = table_of(replace(both, nuclei=both.nuclei.only(first)))
    assert alone["cell_max_GFP"][0] == 1000 > whole["cell_max_GFP"][0] == 7


def test_a_crowded_nucleus_without_a_ring_has_no_corrected_intensity():
    labels = np.arange(1, 26, dtype=np.int32).reshape(5, 5).repeat(8, 0).repeat(8, 1)
    rows = table_of(field_of(labels, labels, GFP=labels))
    assert rows["nucleus_mean_GFP"].tolist() == list(range(1, 26))
    assert (rows["ring_area"] == 0).all()
    assert (
        rows[["ring_mean_GFP", "nucleus_mean_corrected_GFP", "nucleus_integrated_corrected_GFP"]].isna().all(axis=None)
    )


def test_an_image_without_nuclei_has_the_same_columns(draw_nuclei):
    image, labels = draw_nuclei((60, 60), 3, seed=0)
    some = table_of(field_of(labels, image, pixel_size=(0.5, 0.5), expansion=2.0, GFP=image))
    none = field_of(np.zeros_like(labels), image, pixel_size=(0.5, 0.5), expansion=2.0, GFP=image)
    assert len(table_of(none)) == 0
    assert table_of(none).dtypes.to_dict() == some.dtypes.to_dict()


def test_a_single_pixel_and_a_disk():
    labels = np.zeros((40, 40), np.int32)
    labels[5, 5] = 1
    rows, columns = np.ogrid[:40, :40]
    labels[(rows - 25) ** 2 + (columns - 25) ** 2 <= 100] = 2
    found = table_of(field_of(labels, labels))
    assert np.isnan(found["circularity"][0])
    assert 0.9 < found["circularity"][1] <= 1
    assert found["touches_border"].tolist() == [False, False]
