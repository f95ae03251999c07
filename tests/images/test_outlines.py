import json

import numpy as np
import pytest

from nucseg.core.errors import InputError
from nucseg.images.outlines import read_outlines

SQUARE = [[10, 20], [30, 20], [30, 50], [10, 50], [10, 20]]  # columns 10 to 30, rows 20 to 50
HOLE = [[15, 25], [20, 25], [20, 30], [15, 30], [15, 25]]
FAR = [[100, 100], [110, 100], [105, 120], [100, 100]]
POLYGON = {"type": "Polygon", "coordinates": [SQUARE, HOLE]}
BOTH = {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [FAR]]}


def feature(geometry):
    return {"type": "Feature", "geometry": geometry, "properties": {"objectType": "annotation"}}


def outlines(folder, content):
    (folder / "a.geojson").write_text(content if isinstance(content, str) else json.dumps(content))
    return read_outlines(folder / "a.geojson")


@pytest.mark.parametrize(
    "content, count",
    [
        (POLYGON, 1),
        (feature(POLYGON), 1),
        ([feature(POLYGON), feature(None), feature({"type": "Point", "coordinates": [1, 2]})], 1),
        ({"type": "FeatureCollection", "features": [feature(BOTH)]}, 2),
        (
            feature({"type": "GeometryCollection", "geometries": [POLYGON, {"type": "Polygon", "coordinates": [FAR]}]}),
            2,
        ),
    ],
)
def test_polygons_of_any_geojson(tmp_path, content, count):
    found = outlines(tmp_path, content)
    assert len(found.polygons) == count
    points = np.array([(21, 11), (49.5, 29.5), (27, 17), (19, 11), (21, 9), (105, 105)])
    assert found.hold(points).tolist() == [True, True, False, False, False, count == 2]


def test_cells_that_polygons_touch(tmp_path):
    cells = outlines(tmp_path, BOTH).cells((24, 24), (240, 240))
    rows, columns = np.nonzero(cells[:8, :8])
    assert (set(rows), set(columns)) == ({2, 3, 4, 5}, {1, 2, 3})
    assert cells[10:12, 10].all()
    assert not cells[15:].any()


def test_overlapping_polygons_add_up(tmp_path):
    found = outlines(tmp_path, {"type": "MultiPolygon", "coordinates": [[SQUARE], [SQUARE, HOLE]]})
    assert found.hold(np.array([(27.0, 17.0), (45.0, 25.0)])).all()
    assert found.cells((24, 24), (240, 240))[2:5, 1:3].all()


@pytest.mark.parametrize(
    "content, said",
    [
        ("{", "cannot be read as GeoJSON"),
        ("3", "cannot be read as GeoJSON"),
        ({"features": []}, "cannot be read as GeoJSON"),
        ({"type": "FeatureCollection", "features": []}, "holds no polygon"),
        (feature({"type": "LineString", "coordinates": SQUARE}), "holds no polygon"),
        ({"type": "Polygon", "coordinates": [[["a", "b"]]]}, "cannot be read as GeoJSON"),
    ],
)
def test_what_is_no_outline_is_refused_in_a_line(tmp_path, content, said):
    with pytest.raises(InputError, match=said) as caught:
        outlines(tmp_path, content)
    assert "a.geojson" in str(caught.value)
    assert "\n" not in str(caught.value)
