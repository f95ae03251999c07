"""Draw what the shipped StarDist finds: docs/images/found.jpg and unseen.jpg.

python docs/draw_found.py stage1_train.zip

found.jpg shows parts of three kinds of micrographs, unseen.jpg whole fields that nobody trained on.

The fluorescence and the H&E image come with the package stardist, the brightfield image out of the archive of BBBC038
(CC0 1.0): an image of its validation split. The immunohistochemistry comes with scikit-image. Without the archive, only
unseen.jpg is drawn.
"""

import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import stardist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from skimage.data import immunohistochemistry

import nucseg
from nucseg.datasets.zips import read_entry
from nucseg.images.io import decode_image, read_image

DOCS = Path(__file__).parent
IMAGES = Path(stardist.__file__).parent / "data/images"
BRIGHTFIELD = "3594684b9ea0e16196f498815508f8d364d55fea2933a2e782122b6f00375d04"
SIDE = 256


@dataclass(frozen=True)
class Shown:
    """An image of a figure.

    Attributes:
        title: What it shows.
        image: The image.
        colour: Colour of the outlines.
        window: The part that is shown.
        channel: The channel that is predicted on.
    """

    title: str
    image: NDArray
    colour: str
    window: tuple[slice, slice] = (slice(None), slice(None))
    channel: str | None = None


def kinds(archive: Path) -> list[Shown]:
    """Return an image of each kind, of which a part is shown."""
    with zipfile.ZipFile(archive) as opened:
        entry = f"{BRIGHTFIELD}/images/{BRIGHTFIELD}.png"
        (name,) = (each for each in opened.namelist() if each.endswith(entry))
        brightfield = decode_image(read_entry(opened, name), name)
    return [
        Shown("Fluorescence", read_image(IMAGES / "img2d.tif"), "#ffd700", _window(128, 128)),
        Shown("Histology, H&E", read_image(IMAGES / "histo.jpg"), "#00ff40", _window(22, 122)),
        Shown("Brightfield", brightfield, "#e00000", _window(192, 384)),
    ]


def unseen() -> list[Shown]:
    """Return fields that nobody trained on, each as a whole."""
    stained = immunohistochemistry()
    return [
        Shown("H&E: nucseg predict histo.jpg", read_image(IMAGES / "histo.jpg"), "#00ff40"),
        Shown("DAB: nucseg predict ihc.png", stained, "#00ff40"),
        Shown("nucseg predict ihc.png --channel hematoxylin", stained, "#00ff40", channel="hematoxylin"),
    ]


def draw(panels: Sequence[tuple[Axes, Axes]], images: Sequence[Shown]) -> None:
    """Draw each image above the outlines of the nuclei that are found in it."""
    for shown, (above, below) in zip(images, panels, strict=True):
        labels = nucseg.predict(shown.image, channel=shown.channel).labels[shown.window]
        inside = sorted(set(labels.ravel()) - {0})
        for panel, title in ((above, shown.title), (below, f"{len(inside)} nuclei found")):
            panel.imshow(shown.image[shown.window], cmap="gray")
            panel.set_title(title, fontsize=10)
            panel.axis("off")
        for label in inside:
            below.contour(labels == label, [0.5], colors=shown.colour, linewidths=0.9)


def _window(top: int, left: int) -> tuple[slice, slice]:
    return slice(top, top + SIDE), slice(left, left + SIDE)


def _figure(size: tuple[float, float], images: Sequence[Shown], name: str) -> None:
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    draw(list(figure.subplots(2, len(images)).T), images)
    figure.savefig(DOCS / "images" / name, pil_kwargs={"quality": 86})


def main() -> None:
    """Draw the pictures."""
    if len(sys.argv) > 1:
        _figure((10, 4.9), kinds(Path(sys.argv[1])), "found.jpg")
    _figure((14, 8.4), unseen(), "unseen.jpg")


if __name__ == "__main__":
    main()
