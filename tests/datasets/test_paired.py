"""Images and their nuclei in two folders."""

from collections.abc import Callable
from pathlib import Path

import tifffile

from nucseg.datasets.paired import pair_images


def test_why_an_image_is_left_out_names_the_files_of_the_user(tmp_path: Path, draw_nuclei: Callable) -> None:
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
