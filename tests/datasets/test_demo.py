import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from nucseg.core.errors import DownloadError
from nucseg.datasets.demo import fetch, raw_samples


def test_quadrants_together_are_the_image(tmp_path: Path) -> None:
    folder = Path(importlib.util.find_spec("stardist").submodule_search_locations[0]) / "data" / "images"
    splits, read = zip(*((sample.splits, sample.read()) for sample in raw_samples(fetch(None, tmp_path))), strict=True)

    assert splits == (("train",), ("train",), ("val",), ("test",))
    images, labels, overlaps = zip(*read, strict=True)
    whole = np.block([[images[0], images[1]], [images[2], images[3]]])
    assert whole.dtype == np.uint16
    assert np.array_equal(whole, tifffile.imread(folder / "img2d.tif"))
    mask = tifffile.imread(folder / "mask2d.tif")
    assert np.array_equal(np.block([[labels[0], labels[1]], [labels[2], labels[3]]]) > 0, mask > 0)
    assert labels[0].max() == len(np.unique(mask[:256, :256])) - 1
    assert overlaps == (0, 0, 0, 0)


def test_is_the_same_each_time_and_does_not_import_stardist(tmp_path: Path) -> None:
    before = set(sys.modules)

    first, second = fetch(None, tmp_path / "a"), fetch(None, tmp_path / "b")

    assert first.read_bytes() == second.read_bytes()
    assert not {"stardist", "tensorflow"} & (set(sys.modules) - before)


def test_without_stardist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(DownloadError, match="pip install stardist"):
        fetch(None, tmp_path)
