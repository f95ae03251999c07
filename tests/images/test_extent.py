import json
from dataclasses import replace

import numpy as np
import pytest

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images import extent
from nucseg.images.extent import Extent, extent_of
from nucseg.images.source import array_source
from nucseg.images.tissue import cells_shape

IMAGE = np.random.default_rng(0).integers(0, 256, (1100, 1700), dtype=np.uint8)


def square(folder, top, left, bottom, right, name="region.geojson"):
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    (folder / name).write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    return folder / name


def test_an_image_without_levels_and_outlines_is_predicted_as_a_whole():
    assert extent_of(array_source(IMAGE)) is None
    assert extent_of(array_source(IMAGE), "none") is None


def test_a_region_touches_windows_at_any_resolution_and_holds_points(tmp_path):
    found = extent_of(array_source(IMAGE), region=square(tmp_path, 100, 200, 300, 500))
    assert found.touches(Window(250, 450, 400, 600), IMAGE.shape)
    assert not found.touches(Window(320, 0, 1100, 1700), IMAGE.shape)
    assert found.touches(Window(125, 225, 200, 300), (550, 850))
    assert not found.touches(Window(160, 0, 550, 850), (550, 850))
    assert found.holds(np.array([(101.0, 201.0), (299.5, 499.5), (301.0, 300.0), (99.0, 300.0)])).tolist() == [
        True,
        True,
        False,
        False,
    ]
    assert found.holds(np.array([(1100.0, 1700.0)])).tolist() == [False]
    assert "of it is predicted, for the outlines in" in found.notes[0]


def test_statistics_are_those_of_the_blocks_that_it_touches():
    cells = np.zeros(cells_shape(IMAGE.shape), bool)
    cells[:5, :5] = cells[-1, -1] = True
    packed = Extent(IMAGE.shape, cells).packed(array_source(IMAGE))
    assert packed.shape == (1024, 512)
    np.testing.assert_array_equal(
        np.concatenate(list(packed.bands())), np.vstack([IMAGE[:512, :512], IMAGE[-512:, -512:]])
    )
    np.testing.assert_array_equal(
        packed.read(Window(500, 10, 600, 90)), np.vstack([IMAGE[500:512, 10:90], IMAGE[-512:-424, -502:-422]])
    )
    small = Extent((40, 60), np.ones((40, 60), bool)).packed(array_source(IMAGE[:40, :60]))
    assert small.read(Window.whole(small.shape)).shape == (80, 40)


def test_tissue_and_region_are_both_needed(tmp_path):
    tissue, region = square(tmp_path, 0, 0, 600, 600, "tissue.geojson"), square(tmp_path, 500, 500, 900, 900)
    found = extent_of(array_source(IMAGE), tissue, region)
    assert found.holds(np.array([(550.0, 550.0), (650.0, 550.0), (100.0, 100.0)])).tolist() == [True, False, False]
    with pytest.raises(InputError, match="there is no tissue in the region"):
        extent_of(array_source(IMAGE), tissue, square(tmp_path, 900, 900, 1000, 1000))


def test_a_region_outside_is_refused_in_a_line(tmp_path):
    with pytest.raises(
        InputError, match="lie outside the image, which has 1100 rows and 1700 columns: in rows 2000 to"
    ) as said:
        extent_of(array_source(IMAGE), region=square(tmp_path, 2000, 10, 2500, 500))
    assert "\n" not in str(said.value)


def test_tissue_is_sought_on_slides_only(monkeypatch):
    image = np.full((900, 1200, 3), 240, np.uint8)
    image[300:600, 400:800] = (150, 90, 170)
    source = array_source(image)
    slide = replace(source, levels=(replace(source, shape=(450, 600, 3), read=lambda w: image[::2, ::2][w.slices]),))
    assert extent_of(slide) is None
    monkeypatch.setattr("nucseg.images.source.SLIDE_PIXELS", 0)
    assert extent_of(slide, "none") is None
    found = extent_of(slide)
    assert found.cells.mean() == pytest.approx(1 / 9, rel=0.25)  # with a margin
    assert found.notes[0].endswith("of it is tissue (--tissue auto); nothing else is predicted.")
    monkeypatch.setattr(extent, "find_tissue", lambda image, largest: np.zeros(image.shape[:2], bool))
    with pytest.raises(InputError, match="no tissue is found on it; predict all of it"):
        extent_of(slide)
