import runpy
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from nucseg.images.io import read_image, read_labels
from nucseg.registration.register import register_mask


@pytest.fixture(scope="module")
def drawn(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    runpy.run_path(str(root / "samples" / "draw.py"))["draw_all"](folder)
    return folder


@pytest.mark.parametrize("name", ["fluorescence", "histology"])
def test_the_script_draws_the_files(root: Path, drawn: Path, name: str) -> None:
    image, again = read_image(root / "samples" / f"{name}.tif"), read_image(drawn / f"{name}.tif")

    # The last bit of exp() differs between processors; a pixel in a thousand may then be another.
    assert again.dtype == image.dtype
    assert np.mean(again != image) < 0.001
    np.testing.assert_array_equal(
        read_labels(drawn / f"{name}_labels.tif"), read_labels(root / "samples" / f"{name}_labels.tif")
    )


def test_the_script_draws_the_marks(root: Path, drawn: Path) -> None:
    marks = iio.imread(root / "samples/ablation/marks.png")
    np.testing.assert_array_equal(marks, iio.imread(drawn / "ablation/marks.png"))
    status = register_mask(marks > 0, 8, 10).assignment.status
    assert [(row, column) for row, column in np.argwhere(status == "missing")] == [(1, 3), (2, 8), (5, 0), (6, 6)]
    assert [tuple(each) for each in np.argwhere(status == "merged")] == [(3, 4), (3, 5), (6, 2), (6, 3)]


@pytest.mark.parametrize(
    "name, shape, dtype, n_nuclei",
    [("fluorescence", (256, 256), "uint16", 52), ("histology", (256, 256, 3), "uint8", 76)],
)
def test_the_readme_tells_the_truth(root: Path, name: str, shape: tuple[int, ...], dtype: str, n_nuclei: int) -> None:
    image, labels = read_image(root / "samples" / f"{name}.tif"), read_labels(root / "samples" / f"{name}_labels.tif")
    row = next(line for line in (root / "samples" / "README.md").read_text().splitlines() if f"`{name}.tif`" in line)

    assert (image.shape, image.dtype) == (shape, dtype)
    assert labels.shape == shape[:2]
    np.testing.assert_array_equal(np.unique(labels), np.arange(n_nuclei + 1))
    assert row.endswith(f"| {n_nuclei} |")
