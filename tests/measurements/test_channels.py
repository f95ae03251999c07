import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
import zarr

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.open import open_image
from nucseg.measurements.channels import open_channels

PIXELS = np.arange(3 * 20 * 30, dtype=np.uint8).reshape(3, 20, 30)


def write_ome(path, names):
    tifffile.imwrite(path, PIXELS[: len(names)], metadata={"axes": "CYX", "Channel": {"Name": names}})


def write_zarr(path, names):
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("0", data=PIXELS[: len(names)], chunks=(1, 20, 30))
    axes = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]
    group.attrs["omero"] = {"channels": [{"label": name, "color": "FFFFFF"} for name in names]}


@pytest.mark.parametrize(
    "file, write, names",
    [
        ("a.ome.tif", lambda path: write_ome(path, ["DAPI", "GFP"]), ["DAPI", "GFP"]),
        ("a.ome.tif", lambda path: write_ome(path, ["GFP", "gfp", "RFP"]), ["0", "1", "RFP"]),
        ("a.ome.tif", lambda path: write_ome(path, ["1", "DAPI"]), ["1", "DAPI"]),
        ("a.tif", lambda path: tifffile.imwrite(path, PIXELS, photometric="minisblack"), ["0", "1", "2"]),
        ("a.tif", lambda path: tifffile.imwrite(path, PIXELS, imagej=True, metadata={"axes": "CYX"}), ["0", "1", "2"]),
        ("a.png", lambda path: imageio.imwrite(path, np.moveaxis(PIXELS, 0, -1)), ["red", "green", "blue"]),
        ("a.ome.zarr", lambda path: write_zarr(path, ["DAPI", "GFP"]), ["DAPI", "GFP"]),
        ("a.tif", lambda path: tifffile.imwrite(path, PIXELS[0]), ["0"]),
    ],
)
def test_all_channels_of_a_file(tmp_path, file, write, names):
    path = str(tmp_path / file)
    write(tmp_path / file)
    source = open_image(path, 0)
    channels, notes = open_channels(["all"], path, source)
    assert [channel.name for channel in channels] == names
    assert notes == (f"measured: {', '.join(names)}.",)
    for channel, expected in zip(channels, PIXELS, strict=False):
        np.testing.assert_array_equal(channel.source.read(Window(0, 0, 20, 30)), expected)
    # Each by its name, its number and under another name.
    for number, name in enumerate(names):
        if not name.isdecimal():
            (own, other), _ = open_channels([name, f"other={name}"], path, source)
            assert (own.name, other.name) == (name, "other")
            np.testing.assert_array_equal(own.source.read(Window(2, 3, 9, 9)), PIXELS[number, 2:9, 3:9])


def test_what_cannot_be_measured_is_said(tmp_path):
    path = str(tmp_path / "a_DAPI.ome.tif")
    write_ome(tmp_path / "a_DAPI.ome.tif", ["DAPI", "GFP"])
    source = open_image(path, 0)
    imageio.imwrite(tmp_path / "a_RGB.png", np.moveaxis(PIXELS, 0, -1))
    (tmp_path / "a_damaged.tif").write_bytes(b"II*\0nothing")
    for given, said in (
        (["RGB=*_RGB.png"], "a_RGB.png is a colour image; give one with a single channel"),
        (["x=*_damaged.tif"], "x cannot be measured: .*a_damaged.tif"),
        (["all", "GFP=0"], "two measured channels are called 'GFP'"),
        (["Cy5"], "has no channel 'Cy5'; allowed are DAPI, GFP"),
    ):
        with pytest.raises(InputError, match=said):
            open_channels(given, path, source)
