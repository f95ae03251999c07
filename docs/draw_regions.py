"""Draw docs/images/regions.png: the regions in which intensities are measured.

python docs/draw_regions.py
"""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import nucseg
from nucseg.images.io import read_image
from nucseg.measurements.regions import RING_GAP, RING_WIDTH, nearest

DOCS = Path(__file__).parent
EXPANSION = 6.0
COLOURS = {"nucleus": "#ffd700", "cell": "#56b4e9", "ring": "#e69f00"}


def main() -> None:
    """Draw the picture."""
    image = read_image(DOCS.parent / "samples/fluorescence.tif")
    labels = nucseg.predict(image).labels
    distances, places = nearest(labels, (1.0, 1.0))
    owner = labels[places]
    inner = EXPANSION + RING_GAP
    regions = {
        "nucleus": labels,
        "cell": np.where(distances <= EXPANSION, owner, 0),
        "ring": np.where((distances > inner) & (distances <= inner + RING_WIDTH), owner, 0),
    }
    figure = Figure(figsize=(7, 5.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    window = slice(0, 110), slice(0, 150)
    panel.imshow(image[window], cmap="gray")
    for name, found in regions.items():
        for number in np.unique(found[window])[1:]:
            panel.contour(found[window] == number, [0.5], colors=COLOURS[name], linewidths=1)
    panel.legend(
        handles=[Line2D([], [], color=colour, label=name) for name, colour in COLOURS.items()],
        ncols=3,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        frameon=False,
    )
    panel.axis("off")
    figure.savefig(DOCS / "images" / "regions.png")


if __name__ == "__main__":
    main()
