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


def test_an_empty_folder(tmp_path):
    with pytest.raises(DownloadError, match="has no TIFF, PNG or JPEG"):
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
