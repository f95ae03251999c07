"""Images at the scale at which a model will see them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage.draw import disk

from nucseg.finetuning.sizes import as_seen
from nucseg.images.io import read_image, read_labels, write_image, write_labels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("diameter, scale", [(40, 1.0), (90, 0.5), (200, 0.25)])
def test_large_nuclei_are_shrunk(
    tmp_path: Path, make_sample: Callable, dtype: type, diameter: int, scale: float
) -> None:
    labels = np.zeros((480, 512), np.int32)
    for number, centre in enumerate(((120, 120), (350, 380)), start=1):
        labels[disk(centre, diameter / 2, shape=labels.shape)] = number
    top = np.iinfo(dtype).max
    image = np.where(labels > 0, top, top // 4).astype(dtype)
    write_image(tmp_path / "a.tif", image)
    write_labels(tmp_path / "l.tif", labels)
    sample = make_sample(
        tmp_path / "a.tif", tmp_path / "l.tif", height=480, width=512, median_diameter_px=float(diameter), n_nuclei=2
    )

    (seen,) = as_seen([sample], tmp_path / "shrunk")

    if scale == 1:
        assert seen == sample
        return
    assert (seen.key, seen.split, seen.n_nuclei) == (sample.key, sample.split, 2)
    assert seen.median_diameter_px == pytest.approx(diameter * scale, rel=0.03)
    found = read_labels(seen.label_file())
    assert found.shape == (seen.height, seen.width) == (480 * scale, 512 * scale)
    pixels = read_image(seen.image_path)
    assert pixels.dtype == dtype
    assert pixels[found > 0].mean() > 0.95 * top
    assert pixels[found == 0].mean() == pytest.approx(top / 4, rel=0.05)


def test_an_image_without_nuclei_stays(tmp_path: Path, make_sample: Callable) -> None:
    sample = make_sample(n_nuclei=0, median_diameter_px=None)
    assert as_seen([sample], tmp_path) == [sample]
