import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import roifile
import tifffile
import zarr
from PIL import Image
from pycocotools.coco import COCO
from scipy.ndimage import binary_dilation, center_of_mass, gaussian_filter, label
from shapely.geometry import shape as shapely_shape
from skimage.draw import polygon2mask
from skimage.measure import regionprops
from skimage.segmentation import expand_labels, find_boundaries

from kaggle_masks import kaggle_decode
from mosaics import mosaic_of
from nucseg.core.errors import InputError, StorageError
from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.images.source import array_source
from nucseg.inference.instances.parts import tile_result_of
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.masks.labels import make_whole, relabel
from nucseg.measurements.field import Field, MeasuredChannel
from nucseg.reporting.formats import FORMATS, label_tiff, ome_zarr, overlay_png, write_format

NAME = "a.b"


@pytest.fixture(scope="module")
def labels(draw_nuclei):
    """Nuclei in two tiles; one touches all borders that a run can go over."""
    drawn = np.pad(draw_nuclei((90, 58), 13, seed=3)[1], ((0, 0), (0, 12)))
    drawn[:, 60:62] = 14  # from top to bottom: its runs join over the end of a column
    return relabel(drawn)


@pytest.fixture(scope="module")
def nuclei(labels):
    parts = []
    start = 0
    for window in (Window(0, 0, 90, 40), Window(0, 0, 90, 70)):
        middle = [number for number in range(1, labels.max() + 1) if number not in {n for part in parts for n in part}]
        chosen = [n for n in middle if window.right == 70 or np.argwhere(labels == n)[:, 1].max() < 40]
        parts.append(chosen)
    made = []
    for chosen in parts:
        numbers = np.zeros(labels.max() + 1, np.int32)
        numbers[chosen] = np.arange(1, len(chosen) + 1)
        none = np.zeros(len(chosen), bool)
        scores = np.linspace(0.9, 0.6, len(chosen), dtype=np.float32)
        made.append(tile_result_of(numbers[labels], scores, Window.whole(labels.shape), cut=none))
        start += len(chosen)
    return StitchedLabels((90, 70), made, lambda tile: [0, 1])


@pytest.fixture(scope="module")
def expected(nuclei):
    return nuclei.instances().labels


@pytest.fixture(scope="module")
def source(labels):
    return array_source((labels * 10).astype(np.uint8), "a.b.tif", pixel_size=(0.5, 0.5))


@pytest.fixture
def write(nuclei, source, tmp_path):
    return lambda given, **more: write_format(given, Field(nuclei, source, NAME, **more), tmp_path)


def test_every_format_is_written_where_it_belongs(write, tmp_path):
    for given, about in FORMATS.items():
        paths = write(given, expansion=2.0)
        assert paths == [tmp_path / given / f"{NAME}{suffix}" for suffix in about.suffixes]
        assert all(path.exists() for path in paths)


@pytest.mark.parametrize("big", [False, True])
def test_label_tiff(write, expected, monkeypatch, big):
    if big:
        monkeypatch.setattr(label_tiff, "_TILE", 16)
        monkeypatch.setattr(label_tiff, "LARGEST_IN_STRIPS", 32)
        monkeypatch.setattr(label_tiff, "_BIGTIFF_BYTES", 0)
    with tifffile.TiffFile(write("labels")[0]) as file:
        page = file.pages[0]
        assert file.is_bigtiff == page.is_tiled == big
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert page.dtype == np.uint16
        assert page.get_resolution("MICROMETER") == pytest.approx((2, 2))
        np.testing.assert_array_equal(page.asarray(), expected)


def test_more_than_65535_nuclei(tmp_path):
    labels = np.arange(1, 300 * 300 + 1, dtype=np.int32).reshape(300, 300)
    found = mosaic_of(Instances(labels, np.ones(labels.size, np.float32)))
    path = write_format("labels", Field(found, array_source(labels), "a"), tmp_path)[0]
    read = tifffile.imread(path)
    assert read.dtype == np.uint32
    np.testing.assert_array_equal(read, labels)


def test_kaggle_rle(write, expected):
    rows = pd.read_csv(write("rle")[0])
    assert set(rows["ImageId"]) == {NAME}
    np.testing.assert_array_equal(kaggle_decode(rows["EncodedPixels"].tolist(), expected.shape), expected)


def test_coco(write, expected, nuclei):
    coco = COCO(write("coco")[0])
    assert coco.imgs[1]["file_name"] == "a.b.tif"
    for number, annotation in coco.anns.items():
        mask = coco.annToMask(annotation).astype(bool)
        np.testing.assert_array_equal(mask, expected == number)
        assert annotation["area"] == mask.sum()
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), columns.max() + 1 - columns.min(), rows.max() + 1 - rows.min()]
        assert annotation["bbox"] == box
        assert annotation["score"] == pytest.approx(nuclei.scores[number - 1])
    assert len(coco.anns) == len(nuclei)


def test_qupath_geojson(write, expected, nuclei):
    collection = json.loads(write("geojson")[0].read_text())
    assert len(collection["features"]) == len(nuclei)
    for feature in collection["features"]:
        polygon = shapely_shape(feature["geometry"])
        measured = feature["properties"]["measurements"]
        area = (expected == measured["Label"]).sum()
        assert polygon.is_valid
        assert polygon.area == area == measured["Area px^2"] == 4 * measured["Area \u00b5m^2"]
        left, top, right, bottom = map(int, polygon.bounds)
        assert (expected[top:bottom, left:right] == measured["Label"]).sum() == area
        assert feature["properties"]["objectType"] == "detection"


def test_cells_have_the_numbers_of_their_nuclei(write, expected):
    cells = tifffile.imread(write("cells", expansion=3.0)[0])
    np.testing.assert_array_equal(cells, expand_labels(expected, 3))
    with pytest.raises(InputError, match="has no cells; say by how much"):
        write("cells")


def test_geojson_of_cells_holds_their_nuclei_and_the_table(write, expected, source):
    channels = (MeasuredChannel("GFP", source),)
    collection = json.loads(write("geojson", expansion=3.0, channels=channels)[0].read_text())
    rows = pd.read_parquet(write("table", expansion=3.0, channels=channels)[0]).set_index("label")
    cells = expand_labels(expected, 3)
    assert len(collection["features"]) == expected.max()
    for feature in collection["features"]:
        measured = feature["properties"]["measurements"]
        number = measured["Label"]
        assert feature["properties"]["objectType"] == "cell"
        for geometry, labels in (("geometry", cells), ("nucleusGeometry", expected)):
            corners = np.array(feature[geometry]["coordinates"][0])[:, ::-1]
            np.testing.assert_array_equal(polygon2mask(expected.shape, corners - 0.5), labels == number)
        assert measured["nucleus_mean_GFP"] == rows.loc[number, "nucleus_mean_GFP"]
        assert measured["cell_area"] == (cells == number).sum()
        known = {name for name, value in rows.loc[number].items() if name != "image" and np.isfinite(value)}
        assert known - {"score", "area", "area_um2"} <= measured.keys()


def test_a_zipped_geojson_is_the_same(write):
    with zipfile.ZipFile(write("geojson_zip")[0]) as archive:
        assert archive.namelist() == [f"{NAME}.geojson"]
        assert archive.read(f"{NAME}.geojson") == write("geojson")[0].read_bytes()


def test_imagej_rois(write, expected):
    rois = roifile.roiread(write("rois")[0])
    assert len(rois) == expected.max()
    for roi in rois:
        number = int(roi.name.removeprefix("nucleus-"))
        # Coordinates are pixel corners: the pixels are those whose centres the polygon holds.
        mask = polygon2mask(expected.shape, roi.coordinates()[:, ::-1] - 0.5)
        np.testing.assert_array_equal(mask, expected == number)


def test_table(write, expected, source, nuclei):
    parquet, csv = write("table")
    rows = pd.read_parquet(parquet)
    pd.testing.assert_frame_equal(pd.read_csv(csv), rows, check_dtype=False, rtol=1e-9)
    assert rows["label"].tolist() == list(range(1, len(nuclei) + 1))
    np.testing.assert_allclose(rows["score"], nuclei.scores, rtol=1e-6)
    image = source.read(Window.whole(source.shape))
    for (_, row), region in zip(rows.iterrows(), regionprops(expected, image), strict=True):
        assert row["area"] == region.area
        assert row["area_um2"] == region.area / 4
        assert (row["centroid-0"], row["centroid-1"]) == pytest.approx(region.centroid)
        assert tuple(row[f"bbox-{n}"] for n in range(4)) == region.bbox
        assert row["intensity_mean"] == pytest.approx(region.intensity_mean)
        assert row["axis_major_length_um"] == pytest.approx(region.axis_major_length / 2)


def test_every_column_of_the_table_is_documented(write, source):
    page = (Path(__file__).parents[3] / "docs/predict.md").read_text()
    section = page.split("### The columns of the table")[1].split("\n## ")[0]
    always, regions, statistics = (
        re.findall("`(.*?)`", " ".join(line.split("|")[1] for line in part.splitlines() if line.startswith("| `")))
        for part in re.split("\\| region |\\| statistic ", section)
    )
    assert sorted(always) == sorted(pd.read_csv(write("table")[1]).columns)
    measured = {f"{region}_{each}_GFP" for region in regions for each in statistics}
    areas = {f"{region}_area{unit}" for region in ("cell", "ring") for unit in ("", "_um2")}
    assert all(f"`{area}`" in section for area in areas)
    own = {name for name in always if not name.startswith("intensity")}
    written = pd.read_csv(write("table", expansion=2.0, channels=(MeasuredChannel("GFP", source),))[1])
    assert set(written.columns) == own | measured | areas


def test_overlay(write, expected, monkeypatch):
    monkeypatch.setattr(overlay_png, "SMALLEST_SIDE", 90)
    picture = np.asarray(Image.open(write("overlay")[0]))
    assert picture.shape == (90, 70, 3)
    outlines = (picture == (255, 200, 0)).all(2)
    assert outlines.any()
    assert not outlines[expected == 0].any()
    monkeypatch.setattr(overlay_png, "LARGEST_SIDE", 40)
    assert np.asarray(Image.open(write("overlay")[0])).shape == (30, 24, 3)


def test_the_overlay_of_a_small_image_is_enlarged_with_crisp_outlines(write, expected):
    picture = np.asarray(Image.open(write("overlay")[0]))
    assert picture.shape == (1080, 840, 3)
    outlines = (picture == (255, 200, 0)).all(2)
    enlarged = expected.repeat(12, 0).repeat(12, 1)
    assert (outlines & (enlarged > 0))[find_boundaries(enlarged, mode="inner")].all()
    assert not outlines[enlarged == 0].any()
    assert not outlines[~binary_dilation(find_boundaries(enlarged, mode="inner"), iterations=1)].any()


def test_outlines_are_seen_on_bright_nuclei(expected, tmp_path):
    nuclei = mosaic_of(Instances(expected, np.ones(expected.max(), np.float32)))
    bright = array_source(np.where(expected > 0, 255, 0).astype(np.uint8))
    picture = np.asarray(Image.open(write_format("overlay", Field(nuclei, bright, "a"), tmp_path)[0]))
    outlines = (picture == (255, 200, 0)).all(2)
    beside = binary_dilation(outlines) & ~outlines & (expected > 0).repeat(12, 0).repeat(12, 1)
    assert beside.any()
    assert set(picture[beside].ravel()) == {85}


def test_numbers_stand_in_their_nuclei(write, expected):
    plain, numbered = (np.asarray(Image.open(write(given)[0])).astype(int) for given in ("overlay", "numbers"))
    changed = (plain != numbered).any(2)
    enlarged = expected.repeat(12, 0).repeat(12, 1)
    assert set(np.unique(enlarged[changed])) - {0} == set(range(1, expected.max() + 1))
    white = (numbered == 255).all(2) & changed
    for number, centre in enumerate(center_of_mass(expected > 0, expected, range(1, expected.max() + 1)), 1):
        row, column = ((np.array(centre) + 0.5) * 12).astype(int)
        assert white[row - 13 : row + 14, column - 15 * len(str(number)) : column + 15 * len(str(number))].any()


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "<u2", ">u2", "i4", ">i4", "q", "Q", "l", "L", "e", "f4", ">f4", "f8", "g"]
)
def test_every_dtype_that_is_read_is_written_in_every_format(expected, tmp_path, dtype, monkeypatch):
    monkeypatch.setattr(overlay_png, "SMALLEST_SIDE", 1)
    nuclei = mosaic_of(Instances(expected, np.ones(expected.max(), np.float32)))
    image = (expected > 0).astype(dtype)
    for pixels in (image, np.dstack([image] * 3)):
        for given in FORMATS:
            write_format(given, Field(nuclei, array_source(pixels), "a", expansion=2.0), tmp_path)
        table = pd.read_parquet(tmp_path / "table/a.parquet").filter(like="intensity")
        assert table.shape[1] == 3 * (pixels.shape[2] if pixels.ndim == 3 else 1)
        assert (table == 1).all(axis=None)
        assert set(table.dtypes) == {np.dtype(np.float64)}
        written = zarr.open_group(tmp_path / "zarr/a.ome.zarr", mode="r")["0"][:]
        np.testing.assert_array_equal(written, np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("given, version", [("zarr", "0.4"), ("zarr05", "0.5")])
def test_ome_zarr(nuclei, expected, tmp_path, monkeypatch, colour, given, version):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    monkeypatch.setattr(ome_zarr, "_LAST_LEVEL_SIDE", 30)
    monkeypatch.setattr(ome_zarr, "_CHUNK", 32)
    shape = (*expected.shape, 3) if colour else expected.shape
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    source = array_source(image, "a", pixel_size=(0.25, 0.5))
    path = write_format(given, Field(nuclei, source, "a"), tmp_path)[0]
    root = zarr.open_group(path, mode="r")
    assert root.metadata.zarr_format == (2 if version == "0.4" else 3)
    about = root.attrs["multiscales"][0] if version == "0.4" else root.attrs["ome"]
    assert about["version"] == version
    assert parse_url(path).fmt.version == version
    found = {node.zarr.basename(): node for node in Reader(parse_url(path))()}
    pixels, labels = found["a.ome.zarr"], found["nuclei"]
    np.testing.assert_array_equal(pixels.data[0], np.moveaxis(image, -1, 0) if colour else image)
    np.testing.assert_array_equal(labels.data[0], expected)
    assert [level.shape[-2:] for level in labels.data] == [(90, 70), (45, 35), (23, 18)]
    np.testing.assert_array_equal(labels.data[1], expected[::2, ::2])
    assert [axis["name"] for axis in labels.metadata["axes"]] == ["y", "x"]
    scale = labels.metadata["coordinateTransformations"][1][0]["scale"]
    assert scale == [0.5, 1.0]
    from nucseg.images.open import open_image

    again = open_image(path)
    assert again.pixel_size == (0.25, 0.5)
    np.testing.assert_array_equal(again.read(Window.whole(again.shape)), image)


def pixels_of(given: str, paths, shape) -> np.ndarray:
    """Read the label image back from what was written in a format; of the table, a box per nucleus."""
    labels = np.zeros(shape, np.int32)
    match given:
        case "labels":
            labels[:] = tifffile.imread(paths[0])
        case "zarr" | "zarr05":
            labels[:] = zarr.open_array(paths[0] / "labels/nuclei/0", mode="r")[:]
        case "rle":
            labels = kaggle_decode(pd.read_csv(paths[0])["EncodedPixels"].tolist(), shape)
        case "coco":
            coco = COCO(paths[0])
            for number, annotation in coco.anns.items():
                labels[coco.annToMask(annotation).astype(bool)] = number
        case "geojson":
            for feature in json.loads(paths[0].read_text())["features"]:
                corners = np.array(feature["geometry"]["coordinates"][0])[:, ::-1]
                labels[polygon2mask(shape, corners - 0.5)] = feature["properties"]["measurements"]["Label"]
        case "rois":
            for roi in roifile.roiread(paths[0]):
                mask = polygon2mask(shape, roi.coordinates()[:, ::-1] - 0.5)
                labels[mask] = int(roi.name.removeprefix("nucleus-"))
    return labels


def test_all_formats_describe_the_same_pixels(tmp_path, monkeypatch):
    """Nuclei as a model leaves them: one piece without holes, of whatever outline."""
    rng = np.random.default_rng(4)
    blobs = gaussian_filter(rng.random((120, 90)), 2)
    labels = make_whole(label(blobs > np.quantile(blobs, 0.7))[0].astype(np.int32))
    labels[60:] = make_whole(np.where(rng.random((60, 90)) < 0.1, 0, labels[60:]))  # ragged, and cut
    labels = make_whole(relabel(labels))
    assert labels.max() > 20
    found = mosaic_of(Instances(labels, np.linspace(1, 0.5, labels.max(), dtype=np.float32)))
    source = array_source(labels.astype(np.uint8), "a")
    for given in ("labels", "zarr", "zarr05", "rle", "coco", "geojson", "rois"):
        read = pixels_of(given, write_format(given, Field(found, source, "a"), tmp_path), labels.shape)
        np.testing.assert_array_equal(read, labels, err_msg=given)
    rows = pd.read_parquet(write_format("table", Field(found, source, "a"), tmp_path)[0])
    regions = regionprops(labels)
    assert rows["area"].tolist() == [region.area for region in regions]
    assert list(zip(*(rows[f"bbox-{n}"] for n in range(4)), strict=True)) == [region.bbox for region in regions]
    monkeypatch.setattr(overlay_png, "SMALLEST_SIDE", 120)  # a pixel is a pixel
    picture = np.asarray(Image.open(write_format("overlay", Field(found, source, "a"), tmp_path)[0]))
    outlines = (picture == (255, 200, 0)).all(2)
    np.testing.assert_array_equal(outlines, find_boundaries(labels, mode="inner"))


def test_an_image_without_nuclei_can_be_written(tmp_path):
    nothing = mosaic_of(Instances.none((20, 30)))
    source = array_source(np.zeros((20, 30, 3), np.uint16), "blank")
    for given in FORMATS:
        write_format(given, Field(nothing, source, "blank", expansion=2.0), tmp_path)
    assert not tifffile.imread(tmp_path / "labels/blank.tif").any()
    assert json.loads((tmp_path / "geojson/blank.geojson").read_text())["features"] == []
    assert json.loads((tmp_path / "coco/blank.json").read_text())["annotations"] == []
    assert (tmp_path / "rle/blank.csv").read_text() == "ImageId,EncodedPixels\nblank,\n"
    rows = pd.read_parquet(tmp_path / "table/blank.parquet")
    assert len(rows) == 0
    assert "area" in rows


def test_what_is_wrong_is_reported(write, tmp_path, nuclei, source):
    with pytest.raises(InputError, match="allowed are labels"):
        write("xml")
    (tmp_path / "labels").write_text("a file")
    with pytest.raises(StorageError, match="labels"):
        write("labels")
