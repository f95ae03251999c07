"""The nuclei that people outlined, as each tool stores them."""

import json
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from roifile import ROI_TYPE, ImagejRoi
from skimage.measure import label

from nucseg.core.errors import InputError
from nucseg.core.types import Instances
from nucseg.datasets.annotations import annotation_files, read_annotations
from nucseg.masks.labels import labels_from_masks, make_whole
from nucseg.masks.rle import coco_encode, kaggle_encode

SHAPE = (40, 50)
SQUARE = [[10, 5], [14, 5], [14, 8], [10, 8], [10, 5]]  # x and y of corners: columns 10 to 13, rows 5 to 7


def read(path: Path, shape: tuple[int, int] = SHAPE) -> NDArray[np.int32]:
    return read_annotations(path, shape, "field")[0]


def square() -> NDArray[np.int32]:
    labels = np.zeros(SHAPE, np.int32)
    labels[5:8, 10:14] = 1
    return labels


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def feature(coordinates: list, kind: str = "Polygon", **more: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, **more}


def rois(path: Path, *each: ImagejRoi) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number, roi in enumerate(each):
            archive.writestr(f"{number:04d}.roi", roi.tobytes())
    return path


def coco(path: Path, segmentations: list, size: tuple[int, int] = SHAPE, names: Sequence[str] = ("field.tif",)) -> Path:
    images = [
        {"id": number, "file_name": name, "height": size[0], "width": size[1]} for number, name in enumerate(names)
    ]
    annotations = [
        {"id": number, "image_id": 0, "segmentation": each} for number, each in enumerate(segmentations, start=1)
    ]
    return written(path, {"images": images, "annotations": annotations})


@pytest.mark.parametrize("name", ["a.geojson", "a.json"])
@pytest.mark.parametrize("wrap", [lambda one: {"features": [one]}, lambda one: [one], dict])
def test_geojson_of_qupath_in_each_of_its_forms(tmp_path: Path, name: str, wrap: Callable) -> None:
    np.testing.assert_array_equal(read(written(tmp_path / name, wrap(feature([SQUARE])))), square())


def test_geojson_with_holes_parts_and_the_nuclei_of_cells(tmp_path: Path) -> None:
    big = [[2, 2], [22, 2], [22, 12], [2, 12], [2, 2]]
    ring = square()
    ring[2:12, 2:22] = 1
    ring[5:8, 10:14] = 0
    np.testing.assert_array_equal(read(written(tmp_path / "hole.geojson", [feature([big, SQUARE])])), ring)
    far = [[x + 20, y + 20] for x, y in SQUARE]
    both = square()
    both[25:28, 30:34] = 1
    whole = [[[x + 20, y] for x, y in SQUARE], [[x, y + 20] for x, y in SQUARE]]
    both[5:8, 30:34], both[25:28, 10:14] = 2, 3
    objects = [feature([[SQUARE], [far]], "MultiPolygon"), *(feature([each]) for each in whole)]
    np.testing.assert_array_equal(read(written(tmp_path / "parts.geojson", objects)), both)
    cell = feature([big], nucleusGeometry={"type": "Polygon", "coordinates": [SQUARE]})
    np.testing.assert_array_equal(read(written(tmp_path / "cell.geojson", [cell])), square())


def test_rois_of_each_kind(tmp_path: Path) -> None:
    corners = np.array(SQUARE[:-1])
    box = ImagejRoi(roitype=ROI_TYPE.RECT, left=10, top=5, right=14, bottom=8)
    floats = ImagejRoi.frompoints(corners + 0.25)
    for roi in (ImagejRoi.frompoints(corners), box, floats):
        np.testing.assert_array_equal(read(rois(tmp_path / "a.zip", roi)), square())
    (tmp_path / "one.roi").write_bytes(box.tobytes())
    np.testing.assert_array_equal(read(tmp_path / "one.roi"), square())
    oval = read(rois(tmp_path / "oval.zip", ImagejRoi(roitype=ROI_TYPE.OVAL, left=10, top=5, right=30, bottom=25)))
    assert oval.sum() == pytest.approx(np.pi * 10**2, rel=0.03)
    assert (oval[15, 10:30] == 1).all()


def test_coco_polygons_and_run_lengths(tmp_path: Path) -> None:
    compressed = coco_encode(square())
    counts = {"size": list(SHAPE), "counts": [10 * 40 + 5, 3, 37, 3, 37, 3, 37, 3, 26 + 36 * 40 - 20 + 0]}
    counts["counts"][-1] = SHAPE[0] * SHAPE[1] - sum(counts["counts"][:-1])
    np.testing.assert_array_equal(read(coco(tmp_path / "a.json", compressed)), square())
    np.testing.assert_array_equal(read(coco(tmp_path / "b.json", [counts])), square())
    corners = [value for point in SQUARE[:-1] for value in point]
    np.testing.assert_array_equal(read(coco(tmp_path / "c.json", [[corners]])) > 0, square() > 0)


def test_a_coco_file_of_several_images_holds_this_one(tmp_path: Path) -> None:
    path = coco(tmp_path / "a.json", coco_encode(square()), names=("field.tif", "other.tif"))
    np.testing.assert_array_equal(read(path), square())
    assert not read_annotations(path, SHAPE, "other")[0].any()
    with pytest.raises(InputError, match="has no image named 'third', only field, other"):
        read_annotations(path, SHAPE, "third")


def test_label_images_of_floats_that_are_whole_numbers(tmp_path: Path) -> None:
    labels = square()
    labels[20:22, 20:22] = 7
    tifffile.imwrite(tmp_path / "a.tif", labels.astype(np.float32))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), labels)


def test_a_shared_pixel_belongs_to_the_smaller_nucleus(tmp_path: Path) -> None:
    big = [[0, 0], [20, 0], [20, 10], [0, 10], [0, 0]]
    labels, shared = read_annotations(written(tmp_path / "a.geojson", [feature([big]), feature([SQUARE])]), SHAPE, "a")
    assert shared == 12
    assert (labels[5:8, 10:14] == 2).all()
    assert np.bincount(labels.ravel())[1:].tolist() == [200 - 12, 12]


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.geojson", b"[]"),
        ("a.json", b'{"features": []}'),
        ("a.zip", None),
        ("a.tif", None),
    ],
)
def test_no_nuclei_are_an_answer(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    if name == "a.tif":
        tifffile.imwrite(path, np.zeros(SHAPE, np.uint16))
    elif content is None:
        rois(path)
    else:
        path.write_bytes(content)
    assert not read(path).any()


@given(seed=st.integers(0, 1000))
def test_what_nucseg_writes_is_read_back_to_the_pixel(
    seed: int, draw_nuclei: Callable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from mosaics import mosaic_of
    from nucseg.images.source import array_source
    from nucseg.measurements.field import Field
    from nucseg.reporting.formats.registry import write_format

    image, labels = draw_nuclei((64, 72), 8, seed=seed)
    masks = (make_whole(labels) == number for number in range(1, labels.max() + 1))
    labels, _ = labels_from_masks(masks, labels.shape)
    found = mosaic_of(Instances(labels, np.ones(labels.max(), np.float32)))
    field = Field(found, array_source(image, "field"), "field")
    folder = tmp_path_factory.mktemp("written")
    for name in ("geojson", "geojson_zip", "rois", "coco"):
        (path,) = write_format(name, field, folder)
        np.testing.assert_array_equal(read(path, labels.shape), labels, err_msg=name)


def _point() -> ImagejRoi:
    return ImagejRoi(roitype=ROI_TYPE.POINT, left=1, top=1, right=2, bottom=2)


def _on(plane: int) -> ImagejRoi:
    roi = ImagejRoi.frompoints(np.array(SQUARE[:-1]))
    roi.position = plane
    return roi


@pytest.mark.parametrize(
    "name, make, said",
    [
        ("a.geojson", lambda path: path.write_text("{"), "cannot be read"),
        ("a.geojson", lambda path: path.write_text("3"), "neither GeoJSON nor COCO"),
        ("a.geojson", lambda path: written(path, {"a": 1}), "feature 1: has no geometry"),
        ("a.geojson", lambda path: written(path, [feature([1, 2], "Point")]), "feature 1: is a Point, not an area"),
        ("a.geojson", lambda path: written(path, [feature([[[0, 0], [1, 1]]])]), "at least three points"),
        ("a.geojson", lambda path: written(path, [feature([[["a", 0]]])]), "coordinates are not numbers"),
        ("a.geojson", lambda path: written(path, [feature([[[0, 0], [90, 0], [90, 9]]])]), "outlines of another image"),
        ("a.json", lambda path: written(path, {"annotations": []}), "is not COCO"),
        ("a.json", lambda path: coco(path, [], (41, 50)), "for an image of 50 x 41 pixels, field has 50 x 40"),
        ("a.json", lambda path: coco(path, [None]), "annotation 1: has no segmentation"),
        ("a.json", lambda path: coco(path, [{"size": [3, 3], "counts": "?"}]), "annotation 1: "),
        ("a.zip", lambda path: path.write_bytes(b"PK"), "cannot be read"),
        ("a.zip", lambda path: rois(path, _point()), "0000.roi is a point, not an area"),
        ("a.zip", lambda path: rois(path, _on(1), _on(2)), "are of 2 planes"),
        ("a.roi", lambda path: path.write_bytes(b"nothing"), "not an ImageJ ROI"),
        ("a.tif", lambda path: tifffile.imwrite(path, np.full(SHAPE, 0.5, np.float32)), "whole numbers"),
        ("a.tif", lambda path: tifffile.imwrite(path, np.tile(square(), (2, 2)).astype(np.uint8)), "this is a mask"),
    ],
)
def test_what_is_no_outline_is_named(tmp_path: Path, name: str, make: Callable[[Path], Any], said: str) -> None:
    make(tmp_path / name)
    with pytest.raises(InputError) as raised:
        read(tmp_path / name)
    assert said in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path / name))
    assert "\n" not in str(raised.value)


@given(st.integers(0, 2**32 - 1))
def test_run_lengths_come_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = label(np.sort(rng.integers(0, 4, (9, 7)), axis=0), connectivity=2).astype(np.int32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        rows = "".join(f"a,{mask}\n" for mask in kaggle_encode(labels))
        path.write_text(f"ImageId,EncodedPixels\n{rows}", encoding="utf-8")
        found, shared = read_annotations(path, labels.shape, "a")
    assert shared == 0
    assert (labels > 0).tolist() == (found > 0).tolist()
    pairs = set(zip(labels.ravel().tolist(), found.ravel().tolist(), strict=True))
    assert len(pairs) == len({label for label, _ in pairs})  # each nucleus is one nucleus


def test_run_lengths_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "field.csv"
    path.write_text("ImageId,EncodedPixels\nother,1 5\nfield.png,406 3 446 3 486 3 526 3\nfield.png,\n")
    np.testing.assert_array_equal(read(path), square())
    path.write_text("ImageId,EncodedPixels\nanything,406 3 446 3 486 3 526 3\n")  # of one image
    np.testing.assert_array_equal(read(path), square())
    path.write_text("ImageId,EncodedPixels\nfield,\n")  # as where nothing was found
    assert not read(path).any()


@pytest.mark.parametrize(
    "rows, match",
    [
        ("a,1 2\nb,1 2", "has no image named 'field', only a, b"),
        ("field,1 2 3", r"line 2: '1 2 3' is not pairs of a start and a length"),
        ("field,1 2\nfield,x", "line 3: 'x' is not pairs"),
        ("field,1999 3", "line 2: has pixels outside of an image of 50 x 40 pixels"),
        ("field,0 3", "outside"),
        ("field,5 0", "outside"),
        ("field,5 -1", "outside"),
        ("field,99999999999999999999 1", "is not pairs"),
    ],
)
def test_run_lengths_that_are_wrong(tmp_path: Path, rows: str, match: str) -> None:
    path = tmp_path / "field.csv"
    path.write_text(f"ImageId,EncodedPixels\n{rows}\n")
    with pytest.raises(InputError, match=match):
        read(path)


def test_a_table_beside_a_label_image_is_no_second_answer(tmp_path: Path) -> None:
    for name in ("a.tif", "a.csv", "b.csv", "c.csv"):
        (tmp_path / name).write_text("label,area\n1,20\n")
    (tmp_path / "b.csv").write_text("ImageId,EncodedPixels\nb,1 2\n")
    (tmp_path / "c.csv").write_bytes(b"\xff\xfe")
    assert [path.name for path in annotation_files(tmp_path)] == ["a.tif", "b.csv"]


def typed(kind: str, column: int, row: int, size: int = 3) -> dict[str, Any]:
    box = [[column, row], [column + size, row], [column + size, row + size], [column, row + size], [column, row]]
    return feature([box], properties={"objectType": kind} if kind else {})


NUCLEI = [(2, 2), (8, 2), (2, 8), (8, 8)]


@pytest.mark.parametrize("region, nucleus", [("annotation", "detection"), ("annotation", "annotation"), ("", "")])
def test_a_region_around_nuclei_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, region: str, nucleus: str
) -> None:
    objects = [typed(region, 0, 0, 20), *(typed(nucleus, *place) for place in NUCLEI)]
    labels = read(written(tmp_path / "a.geojson", objects))
    assert np.bincount(labels.ravel())[1:].tolist() == [9] * 4
    noun = "annotation" if region else "object"
    assert caplog.messages == [f"a.geojson: 1 {noun} around other objects (a region?) left out; 4 nuclei read"]


def test_a_region_of_one_nucleus_is_left_out_and_a_nucleus_drawn_by_hand_is_not(tmp_path: Path) -> None:
    objects = [typed("annotation", 0, 0, 20), typed("cell", 2, 2), typed("annotation", 30, 30)]
    assert np.bincount(read(written(tmp_path / "a.geojson", objects)).ravel())[1:].tolist() == [9, 9]


def test_types_of_earlier_versions_of_qupath_are_known(tmp_path: Path) -> None:
    region, nucleus = typed("", 0, 0, 20), typed("", 2, 2)
    old = [region | {"id": "PathAnnotationObject"}, nucleus | {"id": "PathDetectionObject"}]
    newer = [
        region | {"properties": {"object_type": "annotation"}},
        nucleus | {"properties": {"object_type": "detection"}},
    ]
    for objects in (old, newer):
        assert np.count_nonzero(read(written(tmp_path / "a.geojson", objects))) == 9


def test_a_nucleus_that_holds_small_ones_stays(tmp_path: Path) -> None:
    large = [typed("", column, 20, 9) for column in (0, 10, 20, 30)]
    inside = [typed("", *place, 1) for place in ((1, 22), (4, 22), (7, 22))]
    assert read(written(tmp_path / "a.geojson", [*large, *inside])).max() == 7


def test_one_outline_around_many_nuclei_is_refused(tmp_path: Path) -> None:
    parts = [typed("", *place)["geometry"]["coordinates"] for place in NUCLEI]
    path = written(tmp_path / "a.geojson", [feature(parts, "MultiPolygon"), typed("", 30, 30)])
    with pytest.raises(InputError, match=r"a\.geojson: 1 of 2 outlines has several separate pieces"):
        read(path)
