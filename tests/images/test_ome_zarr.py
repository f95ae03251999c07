import numpy as np
import pytest
import zarr

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.open import open_image

STACK = np.random.default_rng(0).integers(0, 256, (3, 20, 30), dtype=np.uint8)
RGB = np.moveaxis(STACK, 0, -1)


def read(path, channel=None):
    source = open_image(path, channel)
    image = source.read(Window.whole(source.shape))
    assert (image.shape, image.dtype) == (source.shape, source.dtype)
    return image


def write(path, array, axes, omero=None, version="0.4", scale=None):
    root = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    root.create_array("0", data=array)
    transforms = [{"type": "scale", "scale": scale or [1] * array.ndim}]
    scales = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": transforms}]}]
    attributes = {"multiscales": scales} | ({"omero": omero} if omero else {})
    root.attrs.update(attributes if version == "0.4" else {"ome": {"version": version, **attributes}})


def axes(names, unit=None, kinds=None):
    kinds = kinds or {"c": "channel", "channel": "channel", "t": "time"}
    return [
        {"name": name, "type": kinds.get(name, "space")} | ({"unit": unit} if unit and name in "yx" else {})
        for name in names
    ]


def omero(labels=("", "", ""), colours=("FF0000", "00FF00", "0000FF"), windows=((0, 255),) * 3, model="color"):
    return {
        "channels": [
            {"label": label, "color": colour, "window": {"start": start, "end": end, "min": 0, "max": 255}}
            for label, colour, (start, end) in zip(labels, colours, windows, strict=True)
        ],
        "rdefs": {"model": model},
    }


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("labels", [("", "", ""), ("0", "1", "2"), ("Channel 0", "Channel 1", "Channel 2")])
def test_channels_rendered_as_one_picture_are_colours(tmp_path, version, labels):
    write(tmp_path / "a.zarr", STACK, axes("cyx"), omero(labels), version)
    assert np.array_equal(read(tmp_path / "a.zarr"), RGB)
    assert np.array_equal(read(tmp_path / "a.zarr", "green"), STACK[1])


def test_channels_called_red_green_and_blue_are_colours(tmp_path):
    write(tmp_path / "a.zarr", STACK.astype(np.uint16), axes("cyx"), omero(["Red", "Green", "Blue"]))
    assert np.array_equal(read(tmp_path / "a.zarr"), RGB)


@pytest.mark.parametrize(
    "given, called",
    [
        (None, "numbers 0 to 2"),
        (omero(["RFP", "GFP", "DAPI"]), "RFP, GFP, DAPI"),
        (omero(colours=["0000FF", "00FF00", "FF0000"]), "numbers 0 to 2"),
        (omero(windows=[(0, 255), (10, 90), (0, 255)]), "numbers 0 to 2"),
        (omero(model="greyscale"), "numbers 0 to 2"),
        ({"channels": [{"color": "FF0000"}, {"color": "00FF00"}]}, "numbers 0 to 2"),
        ({"channels": [{"color": each} for each in ("FF0000", "00FF00", "0000FF")]}, "numbers 0 to 2"),
    ],
)
def test_other_channels_are_asked_for(tmp_path, given, called):
    write(tmp_path / "a.zarr", STACK, axes("cyx"), given)
    with pytest.raises(InputError, match=rf"a.zarr: holds 3 channels \({called}\); choose one"):
        open_image(tmp_path / "a.zarr")
    assert np.array_equal(read(tmp_path / "a.zarr", 2), STACK[2])


def test_16_bits_over_the_same_range_are_not_one_picture(tmp_path):
    write(tmp_path / "a.zarr", STACK.astype(np.uint16), axes("cyx"), omero())
    with pytest.raises(InputError, match="holds 3 channels"):
        open_image(tmp_path / "a.zarr")


@pytest.mark.parametrize("names", [["channel", "y", "x"], ["wavelength", "y", "x"], ["C", "Y", "X"], "cyx"])
def test_the_axis_of_the_channels_is_known_by_its_type_or_name(tmp_path, names):
    write(tmp_path / "a.zarr", STACK, axes(names, kinds={"wavelength": "channel", "c": "channel"}))
    with pytest.raises(InputError, match="holds 3 channels"):
        open_image(tmp_path / "a.zarr")
    assert np.array_equal(read(tmp_path / "a.zarr", "1"), STACK[1])


@pytest.mark.parametrize("names", ["zyx", ["time", "y", "x"], ["angle", "y", "x"]])
def test_other_axes_are_planes(tmp_path, names):
    write(tmp_path / "a.zarr", STACK, axes(names))
    with pytest.raises(InputError, match=r"holds 3 planes along (Z|T|angle); choose .* --plane (z|t|angle)=0 "):
        open_image(tmp_path / "a.zarr")
    write(tmp_path / "a.zarr", STACK[:1], axes(names))
    assert np.array_equal(read(tmp_path / "a.zarr"), STACK[0])


def test_two_images_in_a_group_are_named(tmp_path):
    write(tmp_path / "a.zarr", STACK[0], axes("yx"))
    root = zarr.open_group(tmp_path / "a.zarr")
    root.attrs["multiscales"] = [{**root.attrs["multiscales"][0], "name": name} for name in ("raw", "denoised")]
    with pytest.raises(InputError, match=r"a.zarr: holds 2 images \(0: raw, 1: denoised\)"):
        open_image(tmp_path / "a.zarr")
    assert open_image(tmp_path / "a.zarr", scene="denoised").shape == STACK[0].shape
    assert np.array_equal(read(tmp_path / "a.zarr/0"), STACK[0])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("first", [0, 1])
def test_the_largest_resolution_is_read(tmp_path, version, first):
    write(tmp_path / "a.zarr", STACK[0], axes("yx", "micrometer"), version=version, scale=[0.5, 0.5])
    root = zarr.open_group(tmp_path / "a.zarr")
    root.create_array("1", data=STACK[0, ::2, ::2])
    attributes = dict(root.attrs)
    scales = (attributes if version == "0.4" else attributes["ome"])["multiscales"][0]
    small = {"path": "1", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}
    scales["datasets"].insert(first, small)
    root.attrs.update(attributes)
    source = open_image(tmp_path / "a.zarr")
    assert np.array_equal(read(tmp_path / "a.zarr"), STACK[0])
    assert source.pixel_size == (0.5, 0.5)
    (level,) = source.levels
    assert np.array_equal(level.read(Window.whole(level.shape)), STACK[0, ::2, ::2])
    assert source.notes == (() if first else ("its resolutions are not in order of size; the largest (0) is read.",))


def test_a_resolution_that_is_missing_is_named(tmp_path):
    write(tmp_path / "a.zarr", STACK[0], axes("yx"))
    root = zarr.open_group(tmp_path / "a.zarr")
    scales = root.attrs["multiscales"]
    scales[0]["datasets"].insert(0, {"path": "full"})
    root.attrs["multiscales"] = scales
    with pytest.raises(InputError, match=r"a.zarr: lacks its resolution full"):
        open_image(tmp_path / "a.zarr")


@pytest.mark.parametrize("zarr_format, shards", [(2, None), (3, None), (3, (10, 10))])
def test_chunks_that_are_not_stored_are_named(tmp_path, zarr_format, shards):
    array = zarr.create_array(
        tmp_path / "a.zarr", data=STACK[0] | 1, chunks=(5, 5), shards=shards, zarr_format=zarr_format, fill_value=7
    )
    assert open_image(tmp_path / "a.zarr").notes == ()
    array[:10, 20:] = 7  # what is wholly of the fill value is not stored
    (note,) = open_image(tmp_path / "a.zarr").notes
    assert note.startswith(
        f"{1 if shards else 4} of its {6 if shards else 24} chunks are not stored and are read as 7;"
    )


@pytest.mark.parametrize("unit, size", [("micrometer", 0.5), ("angstrom", 0.00005), ("UM", 0.5), ("inch", 12700)])
def test_units(tmp_path, unit, size):
    write(tmp_path / "a.zarr", STACK[0], axes("yx", unit), scale=[0.5, 0.5])
    assert open_image(tmp_path / "a.zarr").pixel_size == pytest.approx((size, size))


def test_an_unknown_unit_is_reported(tmp_path):
    write(tmp_path / "a.zarr", STACK[0], axes("yx", "furlong"), scale=[0.5, 0.5])
    source = open_image(tmp_path / "a.zarr")
    assert source.pixel_size is None
    assert "'furlong'" in source.notes[0]


@pytest.mark.parametrize("array, number", [(STACK, 1), (RGB, 1), (np.moveaxis(STACK, 0, -1)[..., :2], 0)])
def test_a_plain_array_of_several_channels_is_asked_for(tmp_path, array, number):
    zarr.create_array(tmp_path / "a.zarr", data=np.ascontiguousarray(array))
    with pytest.raises(InputError, match=rf"holds {min(array.shape)} channels"):
        open_image(tmp_path / "a.zarr")
    assert np.array_equal(read(tmp_path / "a.zarr", number), STACK[number])


@pytest.mark.parametrize("shape", [(30, 20, 25), (30, 20, 30), (30, 20, 5)])
def test_axes_of_a_plain_array_that_are_not_certain_are_not_guessed(tmp_path, shape):
    zarr.create_array(tmp_path / "a.zarr", data=np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match=r"a.zarr: has three axes of \(30, 20, .*\) without names; name them"):
        open_image(tmp_path / "a.zarr", 3)


def test_the_names_of_the_axes_of_a_plain_array_are_used(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", data=STACK, dimension_names=["z", "y", "x"])
    with pytest.raises(InputError, match="holds 3 planes along Z"):
        open_image(tmp_path / "a.zarr")
    zarr.create_array(tmp_path / "b.zarr", data=STACK.transpose(1, 0, 2), dimension_names=["y", "channel", "x"])
    assert np.array_equal(read(tmp_path / "b.zarr", 2), STACK[2])
