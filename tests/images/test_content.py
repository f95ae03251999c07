"""Planes of stacks: how they are chosen, joined and found in files of several kinds."""

import tracemalloc

import numpy as np
import pytest
import tifffile
import zarr
from scipy.ndimage import gaussian_filter

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images import tiff
from nucseg.images.content import Stack
from nucseg.images.open import open_content, open_image


@pytest.fixture
def pixels():
    """Of 2 time points, 3 planes and 2 channels."""
    return np.random.default_rng(5).integers(0, 4000, (2, 3, 2, 20, 30), dtype=np.uint16)


def written(folder, kind, pixels):
    if kind == "zarr":
        array = zarr.create_array(folder / "a.zarr", data=np.moveaxis(pixels, 2, 1), dimension_names=list("tczyx"))
        return folder / array.store_path.store.root.name
    options = {"ome": True} if kind == "ome" else {"imagej": True}
    tifffile.imwrite(folder / "a.tif", pixels, compression="zlib", metadata={"axes": "TZCYX"}, **options)
    return folder / "a.tif"


def image(path, channel, plane):
    source = open_image(path, channel, plane)
    return source.read(Window.whole(source.shape))


@pytest.mark.parametrize("kind", ["ome", "imagej", "zarr"])
@pytest.mark.parametrize("limit", [2**27, 100])
def test_every_file_gives_the_same_planes(tmp_path, pixels, kind, limit, monkeypatch):
    monkeypatch.setattr(tiff, "WHOLE_BYTES", limit)
    path = written(tmp_path, kind, pixels)
    content = open_content(path)
    assert dict(content.axes) == {"t": 2, "z": 3}
    stack = content.chosen(("z=all", "t=all"), 0)
    assert stack.axes == (("t", 2), ("z", 3))
    for place, plane in zip(np.ndindex(2, 3), stack.planes, strict=True):
        np.testing.assert_array_equal(image(path, 1, plane), pixels[place][1])
    np.testing.assert_array_equal(image(path, 0, ("z=max", "t=1")), pixels[1, :, 0].max(0))
    np.testing.assert_array_equal(image(path, 0, ("Z=2", "t=max")), pixels[:, 2, 0].max(0))
    source = open_image(path, 0, ("t=0", "z=max"))
    np.testing.assert_array_equal(source.read(Window(3, 4, 9, 20)), pixels[0, :, 0, 3:9, 4:20].max(0))
    with pytest.raises(InputError, match=r"holds 2 planes along T, 2 channels; choose .* --plane t=0 .* and --channel"):
        open_image(path, None, ("z=1",))


def test_colours_of_a_stack(tmp_path):
    pixels = np.random.default_rng(6).integers(0, 255, (3, 20, 30, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", ome=True, metadata={"axes": "ZYXS"})
    np.testing.assert_array_equal(image(tmp_path / "a.tif", None, ("z=2",)), pixels[2])
    np.testing.assert_array_equal(image(tmp_path / "a.tif", "green", ("z=max",)), pixels[..., 1].max(0))


@pytest.mark.parametrize("noise", [0, 4])
def test_the_sharpest_plane_is_found(tmp_path, draw_nuclei, noise):
    drawn = draw_nuclei((96, 120), 12, seed=1, noise=0)[0].astype(np.float32)
    rng = np.random.default_rng(2)
    sharpest = (3, 1)
    series = [
        [gaussian_filter(drawn, 0.2 + 1.5 * abs(z - best)) + rng.normal(0, noise, drawn.shape) for z in range(5)]
        for best in sharpest
    ]
    stack = np.clip(series, 0, 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TZYX"})
    content = open_content(tmp_path / "a.tif")
    chosen = content.chosen(("t=all", "z=focus"))
    assert chosen == Stack(
        (("t=0", "z=3"), ("t=1", "z=1")), (("t", 2),), ("the sharpest plane along z is used: z=1 to z=3.",)
    )
    assert content.chosen(("z=focus", "t=1")).notes == ("the sharpest plane along z is used: z=1.",)


def test_a_maximum_holds_few_planes_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "WHOLE_BYTES", 2**21)
    plane = np.random.default_rng(0).integers(0, 2**16, (512, 512), dtype=np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        planes = (np.roll(plane, step) for step in range(60))
        file.write(planes, shape=(60, 512, 512), dtype=np.uint16, compression="zlib", metadata={"axes": "ZYX"})
    open_image(tmp_path / "a.ome.tif", None, ("z=0",))  # imports
    tracemalloc.start()
    found = image(tmp_path / "a.ome.tif", None, ("z=max",))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found, np.max([np.roll(plane, step) for step in range(60)], 0))
    assert peak < 10 * plane.nbytes
