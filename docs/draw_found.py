"""Draw docs/images/found.jpg: what the shipped StarDist finds in the two micrographs that the package stardist brings.

python docs/draw_found.py
"""

from pathlib import Path

import stardist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import nucseg
from nucseg.images.io import read_image

DOCS = Path(__file__).parent
IMAGES = Path(stardist.__file__).parent / "data/images"
SHOWN = {"Fluorescence": ("img2d.tif", "#ffd700"), "Histology, H&E": ("histo.jpg", "#00ff40")}
"""The file of each kind of image and the colour of the outlines."""
SIDE = 256


def main() -> None:
    """Draw the picture."""
    figure = Figure(figsize=(10, 2.75), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = iter(figure.subplots(1, 4))
    for kind, (name, colour) in SHOWN.items():
        image = read_image(IMAGES / name)
        found = nucseg.predict(image)
        top, left = (max(0, (length - SIDE) // 2) for length in found.labels.shape)
        window = slice(top, top + SIDE), slice(left, left + SIDE)
        shown, labels = image[window], found.labels[window]
        inside = sorted(set(labels.ravel()) - {0})
        for title in (kind, f"{len(inside)} nuclei found"):
            panel = next(panels)
            panel.imshow(shown, cmap="gray")
            panel.set_title(title, fontsize=10)
            panel.axis("off")
        for label in inside:
            panel.contour(labels == label, [0.5], colors=colour, linewidths=0.9)
    figure.savefig(DOCS / "images" / "found.jpg", pil_kwargs={"quality": 88})


if __name__ == "__main__":
    main()
