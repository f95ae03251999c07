import json

import numpy as np
import pytest
from PIL import Image

from nucseg.core.errors import DownloadError, InputError
from nucseg.core.types import VOID
from nucseg.datasets import own_classes
from nucseg.datasets.class_maps import check_classes, read_class_map
from nucseg.datasets.config import ProcessingConfig, SemanticDownload
from nucseg.datasets.processing import convert_datasets
from nucseg.datasets.sources import LocalFolder
from nucseg.images.io import write_image
from nucseg.reporting.semantic.colours import palette

CLASSES = ("background", "cat", "dog")
CONFIG = ProcessingConfig(transforms=(), classes=CLASSES)


def test_a_palette_is_read_as_numbers(tmp_path):
    classes = np.array([[0, 1, 2], [VOID, 2, 0]], np.uint8)
    picture = Image.fromarray(classes, "P")
    picture.putpalette(palette().ravel().tolist())
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_class_map(tmp_path / "a.png", "a"), classes)
    Image.fromarray(classes).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_class_map(tmp_path / "grey.png", "a"), classes)
    write_image(tmp_path / "a.tif", classes)
    np.testing.assert_array_equal(read_class_map(tmp_path / "a.tif", "a"), classes)


def test_colours_and_masks_are_refused(tmp_path):
    Image.fromarray(palette()[np.array([[0, 1], [2, 0]])]).save(tmp_path / "rgb.png")
    with pytest.raises(InputError, match=r"a: rgb.png is no class map, which is an image of class numbers"):
        read_class_map(tmp_path / "rgb.png", "a")
    Image.fromarray(np.array([[0, 255]], np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="this is a mask"):
        read_class_map(tmp_path / "mask.png", "a")


@pytest.mark.parametrize(
    "classes, message",
    [
        ([[0, 3], [17, 1]], r"has the values 3, 17, but the classes are 0 to 2 \(background, cat, dog\)"),
        ([[0, 1]], "they must be equal"),
        ([[VOID, VOID], [VOID, VOID]], "every pixel of its class map is void"),
    ],
)
def test_wrong_class_maps(classes, message):
    with pytest.raises(InputError, match=message):
        check_classes(np.array(classes), np.zeros((2, 2)), "a", CLASSES)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in "abc":
        write_image(tmp_path / f"images/{name}.tif", rng.integers(0, 255, (20, 30, 3), np.uint8))
    write_image(tmp_path / "classes/a.tif", rng.choice([0, 1, 2, VOID], (20, 30)).astype(np.uint8))
    write_image(tmp_path / "classes/b.tif", np.full((20, 30), 7, np.uint8))
    write_image(tmp_path / "classes/d.tif", np.zeros((20, 30), np.uint8))
    return tmp_path


def test_own_class_maps_are_converted_or_rejected(folder):
    archive = own_classes.fetch(LocalFolder(path=folder), folder)
    (chunk,) = convert_datasets({"own_classes": archive}, CONFIG)
    assert list(chunk.labels) == ["own_classes/a"]
    assert set(np.unique(chunk.labels["own_classes/a"])) == {0, 1, 2, VOID}
    assert chunk.converted["n_nuclei"].isna().all()
    reasons = dict(zip(chunk.rejected["image_id"], chunk.rejected["reason"], strict=True))
    assert set(reasons) == {"b", "c", "d"}
    assert "has the value 7" in reasons["b"]
    assert "no class map" in reasons["c"]
    assert "no image" in reasons["d"]


def test_a_class_that_no_map_shows_is_named(folder, caplog):
    list(convert_datasets({"own_classes": folder}, CONFIG))
    assert not [each for each in caplog.messages if "shows" in each]
    names = (*CLASSES, "cow", "sheep")
    list(convert_datasets({"own_classes": folder}, ProcessingConfig(transforms=(), classes=names)))
    assert "No class map shows cow, sheep; a model cannot learn them." in caplog.messages


def test_two_class_maps_of_an_image_are_refused(folder):
    write_image(folder / "classes/a.png", np.zeros((20, 30), np.uint8))
    with pytest.raises(InputError, match=r"a\.tif: there is a\.png, too"):
        list(convert_datasets({"own_classes": folder}, CONFIG))


def test_an_empty_folder(tmp_path):
    with pytest.raises(DownloadError, match="has no file ending in one of"):
        own_classes.fetch(LocalFolder(path=tmp_path), tmp_path)


def test_nuclei_become_a_class(bbbc038_zip):
    chunks = list(convert_datasets({"bbbc038": bbbc038_zip}, CONFIG))
    nuclei = list(convert_datasets({"bbbc038": bbbc038_zip}, ProcessingConfig(transforms=(), fill_label_holes=False)))
    labels = {key: value.copy() for key, value in nuclei[-1].labels.items()}
    assert chunks[-1].labels
    for key, classes in chunks[-1].labels.items():
        np.testing.assert_array_equal(classes, labels[key] > 0)


def test_the_section_takes_nuclei_and_classes():
    assert SemanticDownload.model_validate({"datasets": "own_classes", "own_classes": {"path": "x"}}).source(
        "own_classes"
    )
    with pytest.raises(ValueError, match="unknown datasets"):
        SemanticDownload.model_validate({"datasets": "ami_br"})


def feature(name, *rings):
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]] for ring in rings]},
        "properties": {"classification": {"name": name}} if name else {},
    }


def box(top, left, bottom, right):
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


@pytest.fixture
def outlined(tmp_path):
    """An area of 10 x 12 pixels of an image, with a cat that has a hole, and outside of it a dog."""
    write_image(tmp_path / "images/a.tif", np.random.default_rng(0).integers(0, 255, (20, 30), np.uint8))
    features = [
        feature("cat", box(4, 4, 9, 10), box(6, 6, 7, 8)),
        feature("dog", box(15, 20, 18, 24)),
        feature("background", box(2, 2, 12, 14)),
    ]
    (tmp_path / "classes").mkdir()
    (tmp_path / "classes/a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    (tmp_path / "classes.csv").write_text("name\nbackground\ncat\ndog\n")
    return tmp_path


def test_what_is_not_outlined_is_void(outlined):
    (chunk,) = convert_datasets({"own_classes": outlined}, CONFIG)
    expected = np.full((20, 30), VOID)
    expected[2:12, 2:14] = 0
    expected[4:9, 4:10] = 1
    expected[6:7, 6:8] = 0
    expected[15:18, 20:24] = 2
    np.testing.assert_array_equal(chunk.labels["own_classes/a"], expected)


def test_names_must_be_the_same(outlined):
    other = ProcessingConfig(transforms=(), classes=("background", "dog", "cat"))
    (chunk,) = convert_datasets({"own_classes": outlined}, other)
    assert "names the classes background, cat, dog, but" in chunk.rejected["reason"][0]


def test_outlined_areas_need_names(outlined):
    file = outlined / "classes/a.geojson"
    file.write_text(json.dumps([feature("bird", box(1, 1, 2, 2))]))
    (chunk,) = convert_datasets({"own_classes": outlined}, CONFIG)
    assert "feature 1 has the class 'bird'; give it one of background, cat, dog" in chunk.rejected["reason"][0]
    file.write_text(json.dumps([feature(None, box(1, 1, 2, 2))]))
    (chunk,) = convert_datasets({"own_classes": outlined}, CONFIG)
    assert "feature 1 has no class" in chunk.rejected["reason"][0]
    file.write_text("{")
    (chunk,) = convert_datasets({"own_classes": outlined}, CONFIG)
    assert "cannot be read as GeoJSON" in chunk.rejected["reason"][0]
    (outlined / "classes.csv").unlink()
    (chunk,) = convert_datasets({"own_classes": outlined}, CONFIG)
    assert "needs classes.csv" in chunk.rejected["reason"][0]
