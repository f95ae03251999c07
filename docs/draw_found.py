"""Draw docs/images/found.jpg: what the shipped StarDist finds in three kinds of micrographs.

python docs/draw_found.py stage1_train.zip

The fluorescence and the H&E image come with the package stardist, the brightfield image out of the archive of BBBC038
(CC0 1.0): an image of its validation split.
"""

import sys
import zipfile
from pathlib import Path

import stardist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

import nucseg
from nucseg.datasets.zips import read_entry
from nucseg.images.io import decode_image, read_image

DOCS = Path(__file__).parent
IMAGES = Path(stardist.__file__).parent / "data/images"
BRIGHTFIELD = "3594684b9ea0e16196f498815508f8d364d55fea2933a2e782122b6f00375d04"
SIDE = 256


def shown_images(archive: Path) -> dict[str, tuple[NDArray, str, tuple[int, int]]]:
    """Return the image of each kind, the colour of its outlines, and the corner (row, column) of the part to show."""
    with zipfile.ZipFile(archive) as opened:
        entry = f"{BRIGHTFIELD}/images/{BRIGHTFIELD}.png"
        (name,) = (each for each in opened.namelist() if each.endswith(entry))
        brightfield = decode_image(read_entry(opened, name), name)
    return {
        "Fluorescence": (read_image(IMAGES / "img2d.tif"), "#ffd700", (128, 128)),
        "Histology, H&E": (read_image(IMAGES / "histo.jpg"), "#00ff40", (22, 122)),
        "Brightfield": (brightfield, "#e00000", (192, 384)),
    }


def main() -> None:
    """Draw the picture."""
    figure = Figure(figsize=(10, 4.9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 3)
    for (kind, (image, colour, (top, left))), (above, below) in zip(
        shown_images(Path(sys.argv[1])).items(), panels.T, strict=True
    ):
        found = nucseg.predict(image)
        window = slice(top, top + SIDE), slice(left, left + SIDE)
        labels = found.labels[window]
        inside = sorted(set(labels.ravel()) - {0})
        for panel, title in ((above, kind), (below, f"{len(inside)} nuclei found")):
            panel.imshow(image[window], cmap="gray")
            panel.set_title(title, fontsize=10)
            panel.axis("off")
        for label in inside:
            below.contour(labels == label, [0.5], colors=colour, linewidths=0.9)
    figure.savefig(DOCS / "images" / "found.jpg", pil_kwargs={"quality": 86})


if __name__ == "__main__":
    main()
