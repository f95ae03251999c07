"""Draw docs/images/tracks.png: a time series whose nuclei keep their numbers.

python docs/draw_tracks.py
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nucseg.images.io import read_image

DOCS = Path(__file__).parent
FRAMES, STEP, SIDE = 4, (5, 3), 140  # pixels that the picture moves between frames; pixels a side


def main() -> None:
    """Draw the picture."""
    image = read_image(DOCS.parent / "samples/fluorescence.tif")
    corners = [(STEP[0] * (FRAMES - 1 - t), STEP[1] * (FRAMES - 1 - t)) for t in range(FRAMES)]
    series = np.stack([image[row : row + SIDE, column : column + SIDE] for row, column in corners])
    with tempfile.TemporaryDirectory() as folder:
        tifffile.imwrite(Path(folder, "series.tif"), series, imagej=True, metadata={"axes": "TYX"})
        command = "nucseg predict series.tif -o results --plane t=all --link --format labels"
        subprocess.run(command.split(), cwd=folder, check=True)
        labels = tifffile.imread(Path(folder, "results/labels/series.tif"))
        tracks = pd.read_csv(Path(folder, "results/tracks/series.csv"))
    figure = Figure(figsize=(9, 2.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    colours = colormaps["tab20"](np.arange(20))
    for t, panel in enumerate(figure.subplots(1, FRAMES)):
        panel.imshow(series[t], cmap="gray")
        for number in np.unique(labels[t])[1:]:
            panel.contour(labels[t] == number, [0.5], colors=[colours[number % 20]], linewidths=1.2)
            way = tracks[(tracks["TRACK_ID"] == number) & (tracks["FRAME"] <= t)]
            panel.plot(way["POSITION_X"], way["POSITION_Y"], color=colours[number % 20], linewidth=1.2)
        panel.set_title(f"t = {t}", fontsize=9)
        panel.axis("off")
    figure.savefig(DOCS / "images" / "tracks.png")


if __name__ == "__main__":
    main()
