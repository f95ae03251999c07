"""Formats that hold several planes."""

import numpy as np
import pytest
import tifffile

from nucseg.core.errors import InputError
from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.images.open import open_image
from nucseg.images.source import array_source
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.measurements.field import Field
from nucseg.reporting.formats import label_tiff
from nucseg.reporting.formats.registry import FORMATS, write_planes

LABELS = np.random.default_rng(3).integers(0, 2, (2, 3, 20, 30)).cumsum(-1).clip(0, 9)
"""Label images of 2 time points and 3 planes, with 9 nuclei each."""


def fields(first):
    """Return the fields of all planes; their nuclei are numbered from `first` on, a plane after the other."""
    found = []
    for number, (t, z) in enumerate(np.ndindex(2, 3)):
        labels = LABELS[t, z].astype(np.int32)
        found.append(
            Field(
                StitchedLabels.of(Instances(labels, np.ones(9, np.float32))),
                array_source(labels.astype(np.uint8), "a.tif", (0.5, 0.25)),
                "a",
                plane=(f"t={t}", f"z={z}"),
                axes=(("t", 2), ("z", 3)),
                numbers=np.arange(9) + first + 9 * number,
            )
        )
    return found


@pytest.mark.parametrize("first", [1, 65_530])
@pytest.mark.parametrize("largest", [2**31, 100])
def test_labels_that_imagej_cannot_hold_are_an_ome_tiff(tmp_path, monkeypatch, first, largest):
    monkeypatch.setattr(label_tiff, "_BIGTIFF_BYTES", largest)
    (path,) = write_planes("labels", fields(first), tmp_path)
    offsets = first - 1 + 9 * np.arange(6).reshape(2, 3, 1, 1)
    expected = np.where(LABELS > 0, LABELS + offsets, 0)
    with tifffile.TiffFile(path) as file:
        assert file.series[0].axes == "TZYX"
        np.testing.assert_array_equal(file.asarray(), expected)
        assert file.is_imagej == (first == 1 and largest > 100)
        assert file.is_ome != file.is_imagej
        assert file.asarray().dtype == (np.uint16 if first == 1 else np.uint32)
    source = open_image(path, None, ("t=1", "z=2"))
    assert source.pixel_size == pytest.approx((0.5, 0.25))
    np.testing.assert_array_equal(source.read(Window(0, 0, 20, 30)), expected[1, 2])


def test_a_plane_without_nuclei_is_empty(tmp_path):
    planes = fields(1)
    nothing = Instances.none((20, 30))
    empty = Field(
        StitchedLabels.of(nothing), planes[0].source, "a", (), 0.0, ("t=0", "z=0"), planes[0].axes, np.zeros(0, int)
    )
    for given in ("labels", "table", "geojson", "rois", "tracks"):
        write_planes(given, [empty, *planes[1:]], tmp_path)
    assert not tifffile.imread(tmp_path / "labels/a.tif")[0, 0].any()


@pytest.mark.parametrize("given", [name for name, about in FORMATS.items() if not about.stack])
def test_other_formats_refuse_several_planes(tmp_path, given):
    with pytest.raises(InputError, match=f"a.tif: {given} cannot hold 6 planes; choose one plane .* formats labels, "):
        write_planes(given, fields(1), tmp_path)
    assert not list(tmp_path.iterdir())
