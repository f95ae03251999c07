"""The page as a file, in Chromium, by clicks, lines and keys."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import ndimage

from look_page import field_of, squares
from nucseg.datasets.annotations import read_annotations
from nucseg.masks.labels import make_whole
from nucseg.masks.polygons import outlines


@pytest.fixture(scope="module")
def opened(open_page):
    return open_page(field_of(squares()))


@pytest.fixture
def page(opened):
    """The page as it is when it has just been opened; to open it takes seconds."""
    opened.reset()
    return opened


def _same(labels, expected):
    """Check that two label images have the same nuclei, whatever their numbers."""
    pairs = np.unique(np.stack([labels.ravel(), expected.ravel()]), axis=1)
    assert len(pairs[0]) == len(np.unique(pairs[0])) == len(np.unique(pairs[1])), pairs


def test_it_shows_the_nuclei_and_loads_nothing_else(page):
    assert page.count() == "4 of 4 nuclei"
    assert page.tab.evaluate("page.models.histogram.below[0].axis_label") == "area (pixels)"
    np.testing.assert_array_equal(page.labels(), squares())
    assert [url for url in page.requested if not url.startswith(("file:", "blob:", "data:"))] == []


def test_the_score_filters_at_once(page, tmp_path):
    page.slide("#score", 0.6)  # the scores are 0.5, 0.63, 0.77 and 0.9
    assert page.count() == "3 of 4 nuclei"
    assert page.tab.evaluate("page.models.shown.indices") == [1, 2, 3]
    assert sum(page.tab.evaluate("Array.from(page.models.bins.data.top)")) == 3
    assert len(json.loads(page.download("#geojson", tmp_path).read_text())["features"]) == 3


def test_a_click_selects_and_shows_the_measurements(page):
    page.click(20, 20)
    shown = page.tab.inner_text("#measured").split("\n")
    assert shown[shown.index("area") + 1] == "100"
    assert shown[shown.index("intensity_mean") + 1] == "1000"


def test_hovering_shows_the_measurements(page):
    page.tab.mouse.move(*page.place(33, 20))
    page.wait(300)
    page.tab.mouse.move(*page.place(34, 20))
    rows = page.tab.locator(".bk-tooltip-row-label")
    rows.first.wait_for()
    assert [row.strip() for row in rows.all_inner_texts()][:2] == ["score:", "area:"]
    assert page.tab.locator(".bk-tooltip-row-value").all_inner_texts()[:2] == ["0.767", "100"]


def test_delete_and_undo(page):
    page.click(10, 20)
    page.tab.click("#delete")
    expected = np.where(squares() == 1, 0, squares())
    np.testing.assert_array_equal(page.labels(), expected)
    assert page.count() == "3 of 3 nuclei"
    page.press("Control+z")
    np.testing.assert_array_equal(page.labels(), squares())
    page.tab.click("#undo")
    assert page.said() == "There is nothing to undo."


def test_merge_of_touching_nuclei(page):
    page.click(10, 20)
    page.click(20, 20, shift=True)
    page.press("m")
    assert page.said() == "2 nuclei are one now."
    expected = squares()
    expected[expected == 2] = 1
    np.testing.assert_array_equal(page.labels(), expected)


def test_merge_fills_the_gap(page):
    page.click(20, 20)
    page.click(33, 20, shift=True)
    page.tab.click("#merge")
    expected = squares()
    expected[15:25, 15:39] = 2
    np.testing.assert_array_equal(page.labels(), expected)


def test_merge_across_another_nucleus_is_refused(page):
    page.click(10, 20)
    page.click(33, 20, shift=True)
    page.press("m")
    assert "Another nucleus lies between them" in page.said()
    np.testing.assert_array_equal(page.labels(), squares())


def test_split_along_a_line(page):
    page.click(65, 20)
    page.press("s")
    page.line((65, 10), (65, 30))
    assert page.said() == "Split."
    expected = squares()
    expected[15:25, 65:70] = 5
    _same(page.labels(), expected)
    page.press("u")
    np.testing.assert_array_equal(page.labels(), squares())


def test_a_line_beside_the_nucleus_does_not_split_it(page):
    page.click(65, 20)
    page.tab.click("#split")
    page.line((50, 5), (50, 30))
    assert "does not cut the nucleus in two" in page.said()
    np.testing.assert_array_equal(page.labels(), squares())


def test_draw_a_nucleus(page):
    page.press("a")
    page.line((44.9, 5), (54.9, 5), (54.9, 12), (44.9, 12), (44.9, 5))
    labels = page.labels()
    assert page.count() == "5 of 5 nuclei"
    assert abs(np.count_nonzero(labels == 5) - 70) <= 8  # a line of the mouse is as exact as the screen's pixels
    np.testing.assert_array_equal(np.where(labels == 5, 0, labels), squares())


def test_what_is_drawn_over_another_nucleus_takes_its_pixels(page):
    page.press("a")
    page.line((58, 13), (65, 13), (65, 27), (58, 27), (58, 13))
    labels = page.labels()
    assert 40 <= np.count_nonzero(labels == 4) <= 60
    assert labels[20, 61] == 5


def test_redraw_replaces_the_outline(page):
    page.click(65, 20)
    page.press("r")
    page.line((62, 30), (76, 30), (76, 37), (62, 37), (62, 30))
    labels = page.labels()
    assert labels[20, 65] == 0
    assert labels[33, 70] == 4
    assert page.count() == "4 of 4 nuclei"


def test_a_tiny_outline_is_refused(page):
    page.press("a")
    page.line((50.0, 5.0), (50.6, 5.0), (50.6, 5.6))
    assert "A nucleus has at least 4 pixels" in page.said()
    np.testing.assert_array_equal(page.labels(), squares())


def test_corrections_come_back(page, tmp_path):
    page.click(10, 20)
    page.press("Delete")
    page.click(65, 20)
    page.press("s")
    page.line((63, 10), (67, 30))
    page.press("a")
    page.line((40, 3), (55, 2), (52, 12), (44, 11), (40, 3))
    shown = page.labels()
    corrected = page.download("#geojson", tmp_path)
    tiff = page.download("#labels", tmp_path)
    assert (corrected.name, tiff.name) == ("a.geojson", "a.tif")
    from_outlines, shared = read_annotations(corrected, shown.shape, "a")
    assert shared == 0
    _same(from_outlines, shown)
    _same(read_annotations(tiff, shown.shape, "a")[0], shown)
    assert tifffile.imread(tiff).dtype == np.uint16
    table = pd.read_csv(page.download("#table", tmp_path))
    # An outline that was not corrected keeps its measurements; of others only those that are known are written.
    assert table["corrected"].tolist().count(True) == 3
    assert table.loc[~table["corrected"], "intensity_mean"].tolist() == [1000, 1000]
    assert table.loc[table["corrected"], "intensity_mean"].isna().all()
    assert sorted(table["area"]) == sorted(np.bincount(shown.ravel())[1:][np.bincount(shown.ravel())[1:] > 0])


def test_no_nuclei_is_an_answer(page, tmp_path):
    page.press("n")
    for x in (10, 20, 33, 65):
        page.click(x, 20, shift=True)
    page.click(10, 20, shift=True)  # the key had selected it, the first click deselected it
    page.press("d")
    assert page.count() == "0 of 0 nuclei"
    labels, _ = read_annotations(page.download("#geojson", tmp_path), (40, 80), "a")
    assert labels.max() == 0


def test_corrections_of_another_size_are_refused(page, tmp_path):
    corrected = page.download("#geojson", tmp_path)
    with pytest.raises(Exception, match=r"was made for an image of 80 x 40 pixels, the image has 90 x 50\."):
        read_annotations(corrected, (50, 90), "a")


def test_contrast_of_a_channel(page):
    assert page.pixel(0, 0) == (0, 0, 0)
    assert page.pixel(10, 20) == (255, 255, 255)
    page.slide("#channels input[type=range] >> nth=1", 510 // 2)
    page.slide("#channels input[type=range] >> nth=0", 250)
    assert page.pixel(0, 0) == (0, 0, 0)
    page.tab.uncheck("#channels input[type=checkbox]")
    assert page.pixel(10, 20) == (0, 0, 0)


def test_colours_of_a_photograph_are_shown_as_they_are(open_page):
    image = np.zeros((40, 80, 3), np.uint8)
    image[2, 3] = (200, 100, 50)
    image[20:30] = 255
    assert open_page(field_of(squares(), image)).pixel(3, 2) == (200, 100, 50)


def test_several_images_keep_their_corrections(open_page):
    field = field_of(squares())
    page = open_page(field, replace(field, name="b"))
    page.click(10, 20)
    page.press("d")
    page.tab.select_option("#image", label="b")
    assert page.count() == "4 of 4 nuclei"
    page.tab.select_option("#image", label="a")
    assert page.count() == "3 of 3 nuclei"


def test_everything_has_a_name_and_a_key(page):
    unnamed = page.tab.evaluate(
        """() => [...document.querySelectorAll("#controls input, #controls select, #controls button")]
        .filter((each) => !each.labels?.length && !each.getAttribute("aria-label") && !each.textContent.trim())
        .map((each) => each.id)"""
    )
    assert unnamed == []
    page.press("p")
    assert page.said() == "Nucleus 4 of 4 is selected."
    page.press("n", "n", "Escape")
    assert page.tab.inner_text("#measured") == ""


def test_a_nucleus_in_a_hole_and_one_at_a_corner(open_page):
    labels = np.zeros((40, 80), np.int32)
    labels[5:20, 5:20] = 1
    labels[10:14, 10:14] = 2
    labels[20:24, 20:24] = 3  # touches 1 at a corner
    page = open_page(field_of(labels))
    np.testing.assert_array_equal(page.labels(), labels)


def test_outlines_are_filled_and_traced_as_in_python(page):
    """Ragged masks with holes and with pixels that touch at corners."""
    random = np.random.default_rng(3)
    for _ in range(40):
        mask = ndimage.gaussian_filter(random.random((14, 17)), 0.7) > 0.5
        whole = make_whole(mask.astype(np.int32))
        if not whole.any():
            continue
        (outline,) = outlines(whole)
        ring = outline[:-1, ::-1].astype(int).ravel().tolist()
        filled, traced = page.tab.evaluate(
            """(ring) => {
              const mask = fillRing(ring, 17, 14), bits = [];
              mask.bits.forEach((bit, at) => {
                if (bit) bits.push([mask.top + Math.floor(at / mask.width), mask.left + (at % mask.width)]);
              });
              return [bits, traceMask(mask)];
            }""",
            ring,
        )
        np.testing.assert_array_equal(filled, np.argwhere(whole))
        assert sorted(zip(traced[::2], traced[1::2], strict=True)) == sorted(zip(ring[::2], ring[1::2], strict=True))
