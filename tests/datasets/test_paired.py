"""Images and their nuclei in two folders."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tifffile

from nucseg.core.errors import InputError
from nucseg.datasets.paired import pair_images


def test_why_an_image_is_left_out_names_the_files_of_the_user(
    tmp_path: Path, draw_nuclei: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    images, labels = tmp_path / "my images", tmp_path / "corrected"
    for folder in (images, labels):
        folder.mkdir()
    image, nuclei = draw_nuclei((48, 48), 3, seed=1, gap=1)
    for name in ("a", "b"):
        tifffile.imwrite(images / f"{name}.tif", image)
    tifffile.imwrite(labels / "a.tif", nuclei)
    (labels / "b.geojson").write_text("{")
    paired = pair_images(images, labels, tmp_path / "work")
    assert [(sample.image_id, sample.n_nuclei) for sample in paired.samples] == [("a", 3)]
    assert paired.rejected["b"].startswith(f"{labels}/b.geojson: cannot be read")
    assert f"own: a sample was rejected: {labels}/b.geojson: cannot be read" in caplog.text


def test_the_images_themselves_are_no_labels(tmp_path: Path, draw_nuclei: Callable) -> None:
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images/a.tif", draw_nuclei((48, 48), 3)[0])
    (tmp_path / "again").symlink_to(tmp_path / "images")
    with pytest.raises(InputError, match="again: is given as the folder of images, too"):
        pair_images(tmp_path / "images", tmp_path / "again", tmp_path / "work")
