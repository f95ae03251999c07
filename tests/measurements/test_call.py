import numpy as np
import pandas as pd
import pytest
import tifffile

import nucseg
from nucseg.core.errors import ConfigError, InputError
from nucseg.images.stains import density


@pytest.fixture
def drawn(draw_nuclei):
    image, labels = draw_nuclei((80, 100), 8, seed=6, gap=4)
    return image, np.where(labels > 0, labels + 3, 0).astype(np.uint16)  # with gaps


def test_arrays_by_name_with_labels_that_have_gaps(drawn):
    image, labels = drawn
    rows = nucseg.measure(labels, {"DAPI": image, "GFP": labels * 10}, expand="4px", pixel_size=0.5)
    assert rows["label"].tolist() == list(range(4, 12))
    np.testing.assert_array_equal(rows["nucleus_mean_GFP"], 10 * rows["label"])
    np.testing.assert_array_equal(rows["area"], np.bincount(labels.ravel())[4:])
    np.testing.assert_array_equal(rows["cell_area_um2"], rows["cell_area"] / 4)
    assert "score" not in rows
    stack = nucseg.measure(labels, np.dstack([image] * 4 + [labels * 10]), channels=("4", "first=0"))
    np.testing.assert_array_equal(stack["nucleus_mean_4"], rows["nucleus_mean_GFP"])
    np.testing.assert_array_equal(stack["nucleus_std_first"], rows["nucleus_std_DAPI"])


def test_a_file_and_its_pixel_size(drawn, tmp_path):
    image, labels = drawn
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", np.stack([image, labels.astype(np.uint8)]), metadata=metadata)
    rows = nucseg.measure(labels, tmp_path / "a.ome.tif", expand=2)
    arrays = nucseg.measure(labels, {"DAPI": image, "GFP": labels}, expand=2, pixel_size=(0.5, 0.5))
    pd.testing.assert_frame_equal(rows, arrays)


def test_stains_of_a_colour_image(drawn, tmp_path):
    image, labels = drawn
    image = np.dstack([image, image // 2, 255 - image])
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb")
    given = {"dab": density(image, "dab"), "nuclear": density(image, "hematoxylin")}
    expected = nucseg.measure(labels, given)
    for source in (image, tmp_path / "a.tif"):
        pd.testing.assert_frame_equal(nucseg.measure(labels, source, channels=("dab", "nuclear=Hematoxylin")), expected)


def test_channels_are_chosen_by_number(drawn):
    image, labels = drawn
    given = {"DAPI": image, "GFP": labels * 10}
    rows = nucseg.measure(labels, given, channels=[1])
    assert "nucleus_mean_DAPI" not in rows
    np.testing.assert_array_equal(rows["nucleus_mean_GFP"], 10 * rows["label"])
    pd.testing.assert_frame_equal(nucseg.measure(labels, given, channels=np.int64(1)), rows)
    assert "nucleus_mean_0" in nucseg.measure(labels, image, channels=0)


def test_image_and_labels_in_each_others_place_are_refused(drawn):
    with pytest.raises(InputError, match="are image and labels swapped"):
        nucseg.measure(*drawn)


def test_a_label_image_without_labels(drawn):
    image, _ = drawn
    assert len(nucseg.measure(np.zeros_like(image), image)) == 0


def test_a_prediction_is_measured(drawn, monkeypatch):
    image, labels = drawn
    found = nucseg.Instances((labels - 3 * (labels > 0)).astype(np.int32), np.linspace(0.9, 0.6, 8, dtype=np.float32))
    monkeypatch.setattr("nucseg.inference.call.predict_image", lambda *given: (found, ()))
    assert nucseg.predict(image).measurements is None
    measured = nucseg.predict(image, measure="all", expand="3px")
    np.testing.assert_array_equal(measured.labels, found.labels)
    assert measured.measurements["label"].tolist() == list(range(1, 9))
    np.testing.assert_allclose(measured.measurements["score"], found.scores)
    assert {"cell_mean_0", "ring_median_0"} <= set(measured.measurements)
    assert "nucleus_mean_0" in nucseg.predict(image, measure=0, pixel_size=np.float32(0.5)).measurements
    with pytest.raises(ConfigError, match="give measure, too"):
        nucseg.predict(image, expand="3px")


@pytest.mark.parametrize(
    "change, error, said",
    [
        ({"labels": np.zeros((3, 4), int)}, InputError, r"labels: shape \(3, 4\) does not fit the image's \(80, 100\)"),
        ({"labels": np.zeros((3, 4))}, InputError, "dtype float64 is not a label image"),
        ({"image": 5}, InputError, "image: 5 is not an image"),
        ({"image": {}}, InputError, "holds no channels"),
        ({"image": {"a": np.zeros((2, 2)), "b": np.zeros((2, 3))}}, InputError, "of several sizes"),
        ({"image": {"a": np.zeros((2, 2, 2))}}, InputError, r"a: shape \(2, 2, 2\) is not a channel"),
        ({"channels": "7"}, InputError, "no channel '7'; allowed are 0"),
        ({"channels": "dab"}, InputError, "no channel 'dab'; allowed are 0"),
        ({"channels": ("a=0", "a=all")}, ConfigError, "each name once"),
        ({"expand": 5}, InputError, "pixel size is unknown"),
        (
            {"channels": None},
            ConfigError,
            "channels: None is not allowed; it must be `all`, or one or several names or",
        ),
        ({"channels": [True]}, ConfigError, r"channels: \[True\] is not allowed"),
        ({"channels": 2}, InputError, "no channel '2'; allowed are 0"),
        ({"pixel_size": "0.5"}, ConfigError, "pixel_size: '0.5' is not allowed; it must be a number of micrometres"),
        ({"image": {0: np.ones((80, 100)), "0": np.ones((80, 100))}}, InputError, "image: several .* one name as text"),
        ({"image": np.ma.masked_less(np.eye(80, 100), 1)}, InputError, "image: is a masked array with 7920 masked"),
        ({"image": {"a": np.ma.masked_less(np.eye(80, 100), 1)}}, InputError, "a: is a masked array with 7920"),
        ({"labels": np.ma.masked_less(np.eye(80, 100, dtype=int), 1)}, InputError, "labels: is a masked array"),
        ({"labels": np.ones((80, 100), bool)}, InputError, r"labels: is a mask \(bool\)"),
        ({"expand": -5}, ConfigError, "expand: -5 is not allowed; it must be a number above 0"),
    ],
)
def test_what_does_not_fit_is_said(drawn, change, error, said):
    image, labels = drawn
    with pytest.raises(error, match=said):
        nucseg.measure(**{"labels": labels, "image": image, **change})
