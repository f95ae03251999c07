"""Draw docs/images/samples.png: the two images of samples/ beside their label images, one colour per nucleus.

python docs/draw_samples.py
"""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from skimage.color import label2rgb

from nucseg.images.io import read_image, read_labels

DOCS = Path(__file__).parent
SAMPLES = DOCS.parent / "samples"


def main() -> None:
    """Draw the picture."""
    figure = Figure(figsize=(10, 2.75), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 4)
    for place, name in enumerate(("fluorescence", "histology")):
        image, labels = read_image(SAMPLES / f"{name}.tif"), read_labels(SAMPLES / f"{name}_labels.tif")
        colours = np.random.default_rng(1).uniform(0.25, 1, (labels.max(), 3))
        panels[2 * place].imshow(image, cmap="gray")
        panels[2 * place].set_title(f"{name}.tif", fontsize=10)
        panels[2 * place + 1].imshow(label2rgb(labels, colors=colours, bg_color=(0, 0, 0)))
        panels[2 * place + 1].set_title(f"{name}_labels.tif, {labels.max()} nuclei", fontsize=10)
    for panel in panels:
        panel.axis("off")
    figure.savefig(DOCS / "images" / "samples.png")


if __name__ == "__main__":
    main()
