import numpy as np
import pytest

from mosaics import mosaic_of, mosaic_of_tiles
from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.inference.instances.stored import load_facts, load_nuclei, save_nuclei


@pytest.fixture
def found(draw_nuclei):
    _, labels = draw_nuclei((90, 120), 25, seed=4, gap=0)
    return Instances(labels, np.linspace(0.5, 1, 25, dtype=np.float32))


@pytest.mark.parametrize("side", [40, 1000])
def test_what_is_stored_comes_back(found, tmp_path, side):
    nuclei = mosaic_of_tiles(found, side)
    path = tmp_path / "deep/a.npz"
    save_nuclei(path, nuclei, {"source": "a.tif"})
    again = load_nuclei(path)
    np.testing.assert_array_equal(again.instances().labels, nuclei.instances().labels)
    np.testing.assert_array_equal(again.scores, nuclei.scores)
    assert [block.first for block in again.blocks()] == [block.first for block in nuclei.blocks()]
    assert load_facts(path) == {"source": "a.tif"}


def test_runs_of_many_pixels_come_back(tmp_path):
    labels = np.zeros((300, 300), np.int32)
    labels[0, 0] = labels[-1, -1] = 1
    save_nuclei(tmp_path / "a.npz", mosaic_of(Instances(labels, np.ones(1, np.float32))), {})
    again = load_nuclei(tmp_path / "a.npz")
    np.testing.assert_array_equal(again.instances().labels, labels)
    assert {part.lengths.dtype for part in again.parts} == {np.dtype(np.int32)}
    assert max(part.lengths.max() for part in again.parts) > 2**16


def test_no_nuclei_and_damaged_files(tmp_path):
    path = tmp_path / "a.npz"
    save_nuclei(path, mosaic_of(Instances.none((5, 7))), {})
    assert (len(load_nuclei(path)), load_nuclei(path).shape) == (0, (5, 7))
    path.write_bytes(path.read_bytes()[:-30])
    assert load_facts(path) is None
    with pytest.raises(OSError, match="damaged"):
        load_nuclei(path)
    assert load_facts(tmp_path / "none.npz") is None


def test_filtered_nuclei_are_stored_whole(found, tmp_path):
    nuclei = mosaic_of_tiles(found, 40)
    save_nuclei(tmp_path / "a.npz", nuclei.only(nuclei.scores > 0.7), {})
    np.testing.assert_array_equal(load_nuclei(tmp_path / "a.npz").instances().labels, nuclei.instances().labels)


def test_some_of_the_nuclei_are_numbered_without_gaps(found):
    nuclei = mosaic_of_tiles(found, 40)
    keep = nuclei.scores > 0.7
    some = nuclei.only(keep)
    numbers = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)])
    expected = numbers[nuclei.instances().labels]
    np.testing.assert_array_equal(some.labels(Window(10, 20, 70, 100)), expected[10:70, 20:100])
    np.testing.assert_array_equal(some.scores, nuclei.scores[keep])
    assert 0 < len(some) == keep.sum() < len(nuclei)
    seen = np.zeros_like(expected)
    for block in some.blocks():
        inner = seen[block.window.slices]
        inner[block.labels > 0] = block.labels[block.labels > 0] + block.first - 1
        assert block.labels.max() == len(block.scores)
        np.testing.assert_array_equal(block.scores, some.scores[block.first - 1 :][: len(block.scores)])
    np.testing.assert_array_equal(seen, expected)
    twice = some.only(some.scores > 0.9)
    np.testing.assert_array_equal(twice.instances().labels, nuclei.only(nuclei.scores > 0.9).instances().labels)
    assert len(nuclei.only(np.zeros(len(nuclei), bool))) == 0
    assert not list(nuclei.only(np.zeros(len(nuclei), bool)).blocks())
