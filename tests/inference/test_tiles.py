import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucseg.core.window import Window
from nucseg.inference.instances.parts import TileResult, tile_result_of
from nucseg.inference.tiles import make_grid


@given(st.integers(1, 60), st.integers(1, 60), st.integers(6, 40), st.sampled_from([1, 4, 8]), st.integers(0, 20))
def test_every_pixel_belongs_to_one_tile(height, width, side, stride, halo):
    grid = make_grid((height, width), side, stride=stride, halo=halo, max_side=64)
    owners = np.zeros((height, width), int)
    for tile in grid:
        core, reads = grid.core(tile), grid.reads(tile)
        owners[core.slices] += 1
        assert core.top % stride == core.left % stride == reads.top % stride == reads.left % stride == 0
        assert reads.common(core) == core
        around = [near for near in grid if grid.core(near).grown(1, grid.shape).common(core)]
        assert grid.neighbours(tile) == around
    assert (owners == 1).all()


def test_an_image_that_the_model_can_take_is_not_tiled():
    model = {"stride": 16, "halo": 112, "max_side": 1760}
    assert len(make_grid((1760, 1000), None, **model)) == 1
    grid = make_grid((1761, 1000), None, **model)
    assert (len(grid), grid.side) == (2, 1008)  # two tiles beside each other, as wide as the image
    large = make_grid((6000, 6000), None, **model)  # four of about the same size a side
    assert [large.core(tile).shape for tile in (0, 3, 15)] == [(1504, 1504), (1504, 1488), (1488, 1488)]
    full = make_grid((1536 * 4, 1536), None, **model)
    assert max(max(full.reads(tile).shape) for tile in full) == 1760


def test_of_two_tiles_each_has_one_halo():
    model = {"stride": 16, "halo": 112, "max_side": 1760}
    grid = make_grid((3296, 2000), None, **model)
    assert (grid.counts, grid.side) == ((2, 2), 1648)
    assert max(max(grid.reads(tile).shape) for tile in grid) == 1760
    assert make_grid((3297, 2000), None, **model).counts == (3, 2)


@given(st.integers(1, 900), st.integers(1, 900), st.sampled_from([1, 4, 16]), st.integers(0, 40))
def test_no_tile_is_larger_than_the_model_takes(height, width, stride, halo):
    grid = make_grid((height, width), None, stride=stride, halo=halo, max_side=256)
    assert max(max(grid.reads(tile).shape) for tile in grid) <= 256


def test_a_side_is_rounded_up_and_holds_a_halo():
    assert make_grid((1000, 1000), 100, stride=16, halo=20, max_side=500).side == 112
    assert make_grid((1000, 1000), 16, stride=16, halo=20, max_side=500).side == 32
    assert make_grid((1000, 1000), None, stride=16, halo=20, max_side=60).side == 32


def test_no_tile_is_larger_than_the_model_takes_beside_its_halo():
    model = {"stride": 16, "halo": 32, "max_side": 512}
    assert make_grid((1000, 1000), 4000, **model).side == 448
    assert make_grid((1000, 1000), None, **model).side == 336
    assert len(make_grid((500, 300), 4000, **model)) == 1


@given(st.integers(0, 2**31), st.integers(0, 12), st.integers(0, 20), st.integers(0, 20))
def test_a_part_gives_back_every_window(seed, n, top, left):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n + 1, (rng.integers(1, 15), rng.integers(1, 15))).astype(np.int32)
    n = int(labels.max())
    image = np.zeros((40, 40), np.int32)
    place = Window(top, left, top + labels.shape[0], left + labels.shape[1])
    image[place.slices] = labels
    none = np.zeros(n, bool)
    part = tile_result_of(labels, np.ones(n, np.float32), place, cut=none)
    np.testing.assert_array_equal(part.areas, np.bincount(labels.ravel(), minlength=n + 1)[1:])
    if part.window:
        rows = np.sort(rng.integers(part.window.top, part.window.bottom + 1, 2))
        columns = np.sort(rng.integers(part.window.left, part.window.right + 1, 2))
        window = Window(*rows[:1].tolist(), *columns[:1].tolist(), *rows[1:].tolist(), *columns[1:].tolist())
        if window:
            np.testing.assert_array_equal(part.crop(window), image[window.slices])
        outside = image.copy()
        outside[part.window.slices] = 0
        assert not outside.any()


def test_a_part_is_saved_and_damage_is_noticed(tmp_path):
    labels = np.array([[0, 1, 1], [2, 2, 0]], np.int32)
    part = tile_result_of(
        labels,
        np.array([0.9, 0.5], np.float32),
        Window(3, 4, 5, 7),
        cut=np.array([True, False]),
    )
    part.save(tmp_path / "a.npz")
    back = TileResult.load(tmp_path / "a.npz")
    assert back.window == part.window
    np.testing.assert_array_equal(back.crop(back.window), labels)
    np.testing.assert_array_equal(back.cut, part.cut)
    whole = (tmp_path / "a.npz").read_bytes()
    for damaged in (b"", b"PK", whole[:200], whole[:-1], b"no zip at all"):
        (tmp_path / "b.npz").write_bytes(damaged)
        with pytest.raises(OSError, match=r"b\.npz"):
            TileResult.load(tmp_path / "b.npz")
    with pytest.raises(OSError, match=r"c\.npz"):
        TileResult.load(tmp_path / "c.npz")
