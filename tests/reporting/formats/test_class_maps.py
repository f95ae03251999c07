"""Class maps as other programs read them."""

import json

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from skimage.measure import points_in_poly

from nucseg.core.window import Window
from nucseg.images.source import array_source
from nucseg.inference.semantic.parts import ClassMosaic, ClassPart
from nucseg.reporting.formats.class_maps import CLASS_FORMATS
from nucseg.reporting.semantic.colours import palette

NAMES = ("background", "mark", "edge")


def mosaic(shape, side=700):
    """Random areas with holes, in tiles."""
    rng = np.random.default_rng(0)
    coarse = rng.dirichlet([0.3, 0.6, 0.1], [-(-length // 5) for length in shape]).astype(np.float32)
    probabilities = np.kron(coarse, np.ones((5, 5, 1), np.float32))[: shape[0], : shape[1]]
    windows = [
        Window(top, left, min(top + side, shape[0]), min(left + side, shape[1]))
        for top in range(0, shape[0], side)
        for left in range(0, shape[1], side)
    ]
    parts = [ClassPart.of(window, probabilities[window.slices]) for window in windows]
    return ClassMosaic(shape, NAMES, parts), probabilities


def written(name, found, tmp_path):
    path = tmp_path / f"a{CLASS_FORMATS[name].suffix}"
    image = np.random.default_rng(1).integers(0, 255, found.shape, np.uint8)
    CLASS_FORMATS[name].write(found, array_source(image, "a"), path)
    return path


@pytest.mark.parametrize("shape", [(1, 1), (40, 53), (900, 1100)])
def test_tiff_with_palette(tmp_path, shape):
    found, probabilities = mosaic(shape)
    with tifffile.TiffFile(written("classes", found, tmp_path)) as file:
        page = file.pages[0]
        assert page.photometric.name == "PALETTE"
        np.testing.assert_array_equal(page.colormap.T // 257, palette())
        np.testing.assert_array_equal(page.asarray(), probabilities.argmax(-1))
        assert json.loads(page.description)["classes"] == list(NAMES)


@pytest.mark.parametrize("shape", [(1, 1), (40, 53), (900, 1100)])
def test_probabilities(tmp_path, shape):
    found, probabilities = mosaic(shape)
    path = written("probabilities", found, tmp_path)
    values = tifffile.imread(path).reshape(2, *shape)
    np.testing.assert_allclose(values.transpose(1, 2, 0) / 255, probabilities[..., 1:], atol=0.51 / 255)
    with tifffile.TiffFile(path) as file:
        assert json.loads(file.pages[0].description)["pages"] == ["mark", "edge"]


def test_png_shows_the_colours(tmp_path):
    found, probabilities = mosaic((40, 53))
    with Image.open(written("png", found, tmp_path)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), probabilities.argmax(-1))
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), palette()[probabilities.argmax(-1)])


def test_ome_zarr(tmp_path):
    found, probabilities = mosaic((600, 530))
    group = zarr.open_group(written("zarr", found, tmp_path), mode="r")
    np.testing.assert_array_equal(group["labels/classes/0"][:], probabilities.argmax(-1))
    about = group["labels/classes"].attrs["image-label"]
    assert [each["class"] for each in about["properties"]] == list(NAMES)
    assert about["colors"][1] == {"label-value": 1, "rgba": [128, 0, 0, 255]}
    assert group["labels"].attrs["labels"] == ["classes"]


def test_areas_come_back_to_the_pixel(tmp_path):
    found, probabilities = mosaic((120, 153), side=64)
    content = json.loads(written("geojson", found, tmp_path).read_text())
    centres = np.argwhere(np.ones(found.shape, bool))[:, ::-1] + 0.5
    classes = np.zeros(found.shape, int)
    holes = 0
    for feature in content["features"]:
        rings = feature["geometry"]["coordinates"]
        holes += len(rings) - 1
        assert all(ring[0] == ring[-1] for ring in rings)
        inside = np.logical_xor.reduce([points_in_poly(centres, ring) for ring in rings])
        number = NAMES.index(feature["properties"]["classification"]["name"])
        assert not classes[inside.reshape(found.shape)].any()
        classes[inside.reshape(found.shape)] = number
    assert holes
    np.testing.assert_array_equal(classes, probabilities.argmax(-1))
