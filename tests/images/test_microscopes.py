"""Files of microscopes."""

import numpy as np
import pytest

from microscope_files import PIXELS, StandInForNd2, needs, write_czi, write_lif
from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images import microscopes
from nucseg.images.open import open_content, open_image


def read(path, channel=None, plane=(), scene=None):
    source = open_image(path, channel, plane, scene)
    assert source.dtype == source.read(Window(0, 0, 1, 1)).dtype
    return source.read(Window.whole(source.shape))


@pytest.mark.parametrize("limit", [2**27, 100])
def test_planes_and_channels_of_a_czi(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(microscopes, "_WHOLE_BYTES", limit)
    parts = [
        (PIXELS[t, z, c, ..., None], {"T": t, "Z": z, "C": c}, {"location": (7, 9)}) for t, z, c in np.ndindex(2, 3, 2)
    ]
    names = {"channel_names": {0: "DAPI", 1: "GFP"}, "scale_x": 0.25e-6, "scale_y": 0.5e-6}
    path = write_czi(tmp_path / "a.CZI", parts, **names)
    content = open_content(path)
    assert dict(content.axes) == {"t": 2, "z": 3}
    for t, z in np.ndindex(2, 3):
        np.testing.assert_array_equal(read(path, "GFP", (f"t={t}", f"z={z}")), PIXELS[t, z, 1])
    np.testing.assert_array_equal(read(path, 0, ("t=1", "z=max")), PIXELS[1, :, 0].max(0))
    source = open_image(path, "dapi", ("t=0", "z=1"))
    assert (source.pixel_size, source.channels) == (pytest.approx((0.5, 0.25)), ("DAPI", "GFP"))
    np.testing.assert_array_equal(source.read(Window(3, 4, 15, 21)), PIXELS[0, 1, 0, 3:15, 4:21])
    with pytest.raises(InputError, match=r"holds 2 planes along T, 3 planes along Z, 2 channels; choose .* --plane"):
        open_image(path)


def test_colours_of_a_czi(tmp_path):
    blue_green_red = np.random.default_rng(1).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    path = write_czi(tmp_path / "a.czi", [(blue_green_red, {"T": 0, "Z": 0, "C": 0}, {})])
    np.testing.assert_array_equal(read(path), blue_green_red[..., ::-1])
    np.testing.assert_array_equal(read(path, "red"), blue_green_red[..., 2])
    assert open_image(path).pixel_size is None


def test_scenes_of_a_czi_are_chosen(tmp_path):
    first, second = PIXELS[0, 0, 0, ..., None], PIXELS[0, 1, 0, :15, ..., None]
    plane = {"T": 0, "Z": 0, "C": 0}
    places = [{"scene": 0, "location": (0, 0)}, {"scene": 1, "location": (100, 40)}]
    path = write_czi(tmp_path / "a.czi", [(first, plane, places[0]), (second, plane, places[1])])
    for scene in (1, "1"):
        np.testing.assert_array_equal(read(path, scene=scene), second[..., 0])
    np.testing.assert_array_equal(read(path, scene=0), first[..., 0])
    with pytest.raises(InputError, match=r"a.czi: holds 2 scenes \(0, 1\); choose one with --scene NAME or NUMBER on"):
        open_image(path)
    with pytest.raises(InputError, match=r"a.czi: has no scene '2'; it holds 0, 1\.$"):
        open_image(path, scene=2)


def test_tiles_of_a_czi_are_one_image(tmp_path):
    plane = {"T": 0, "Z": 0, "C": 0}
    whole = np.concatenate([PIXELS[0, 0, 0], PIXELS[0, 1, 0]], 1)
    parts = [(whole[:, 30 * n : 30 * (n + 1), None], plane, {"scene": 0, "location": (30 * n, 0)}) for n in (0, 1)]
    np.testing.assert_array_equal(read(write_czi(tmp_path / "a.czi", parts)), whole)


def test_a_lif_holds_scenes(tmp_path):
    images = {"one": PIXELS, "Two": PIXELS[:1, :1, :1] + 1, "red": PIXELS[:1, :1]}
    path = write_lif(tmp_path / "a.lif", images)
    assert dict(open_content(path, "one").axes) == {"t": 2, "z": 3}
    np.testing.assert_array_equal(read(path, 1, ("t=1", "z=2"), "one"), PIXELS[1, 2, 1])
    np.testing.assert_array_equal(read(path, 0, ("t=0", "z=max"), 0), PIXELS[0, :, 0].max(0))
    np.testing.assert_array_equal(read(path, scene="two"), PIXELS[0, 0, 0] + 1)
    assert open_image(path, scene=1).pixel_size == pytest.approx((0.5, 0.25))
    with pytest.raises(InputError, match=r"holds 3 scenes \(0: one, 1: Two, 2: red\); choose one"):
        open_image(path)
    # Shown in red and green: these are no names, and no colours of one picture.
    with pytest.raises(InputError, match=r"holds 2 channels \(numbers 0 and 1\)"):
        open_image(path, scene="red")


def test_a_lif_that_ends_early_is_refused(tmp_path):
    path = write_lif(tmp_path / "a.lif", {"one": PIXELS[:1, :1, :1]})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"a.lif: cannot be read .*; fetch or save it again|damaged"):
        read(path)


def test_positions_of_an_nd2_are_scenes(tmp_path, monkeypatch):
    needs("nd2")
    monkeypatch.setattr("nucseg.images.nd2.ND2File", StandInForNd2)
    path = tmp_path / "a.nd2"
    path.touch()
    assert dict(open_content(path, 0).axes) == {"t": 2}
    np.testing.assert_array_equal(read(path, "GFP", ("t=1",), "a1"), PIXELS[1, 0, 1])
    np.testing.assert_array_equal(read(path, 0, ("t=max",), 1), (PIXELS[:, 1, 0] + 1).max(0))
    assert open_image(path, 0, ("t=0",), 0).pixel_size == (0.5, 0.25)
    with pytest.raises(InputError, match=r"holds 2 scenes \(0: A1, 1\); choose one"):
        open_image(path)


@pytest.mark.parametrize("suffix", microscopes.SUFFIXES)
def test_a_file_without_its_library_names_the_extra(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"anything")
    needs(microscopes._READERS[suffix].library)
    with pytest.raises(InputError, match=rf"a\{suffix}: cannot be read \(.*\)\. The file is damaged or of another"):
        open_image(path)
    with pytest.raises(InputError, match="there is no such file"):
        open_image(tmp_path / f"missing{suffix}")
    with pytest.raises(InputError, match="from this machine only; copy it here first"):
        open_image(f"memory://a{suffix}")
    monkeypatch.setattr(microscopes, "find_spec", lambda library: None)
    with pytest.raises(
        InputError, match=rf"which is not installed; install it with pip install 'nucseg\[{suffix[1:]}\]'"
    ):
        open_image(path)
