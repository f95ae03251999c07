"""Draw docs/images/tissue.jpg: the tissue that is found on a drawn slide with marks of pens and shadows.

python docs/draw_tissue.py
"""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from nucseg.images.io import read_image
from nucseg.images.tissue import find_tissue

DOCS = Path(__file__).parent
ROWS, COLUMNS = 360, 560
PENS = (
    ((25, 50, 150), [(30, 30), (36, 330)]),
    ((20, 130, 70), [(330, 335), (520, 325)]),
    ((200, 25, 35), [(535, 40), (528, 270)]),
    ((30, 30, 32), [(250, 25), (430, 34)]),
)


def drawn_slide() -> np.ndarray:
    """Return the slide at low resolution, `(ROWS, COLUMNS, 3)` uint8: real tissue, reduced 8 times, in drawn shapes."""
    tissue = read_image(DOCS.parent / "samples/histology.tif")[..., :3]
    height, width = (side // 8 * 8 for side in tissue.shape[:2])
    texture = tissue[:height, :width].reshape(height // 8, 8, width // 8, 8, 3).mean((1, 3))
    texture = np.pad(texture, ((0, ROWS), (0, COLUMNS), (0, 0)), mode="symmetric")[:ROWS, :COLUMNS]
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    wave = 12 * np.sin(rows / 17) + 9 * np.cos(columns / 23)
    shape = ((rows - 140 + wave) / 95) ** 2 + ((columns - 190 + wave) / 130) ** 2 < 1
    shape |= ((rows - 260 + wave) / 55) ** 2 + ((columns - 420 - wave) / 75) ** 2 < 1
    shape &= ((rows - 130) / 22) ** 2 + ((columns - 220) / 30) ** 2 > 1
    soft = ndimage.gaussian_filter(shape.astype(float), 1)[..., None]
    image = np.full((ROWS, COLUMNS, 3), (242.0, 240.0, 243.0)) - np.linspace(0, 12, COLUMNS)[:, None]
    image = image * (1 - soft) + texture * soft
    picture = Image.fromarray(image.clip(0, 254).astype(np.uint8))
    for colour, line in PENS:
        ImageDraw.Draw(picture).line(line, fill=colour, width=9)
    image = np.array(picture.filter(ImageFilter.GaussianBlur(0.8)), float)
    image[:, :10] *= 0.8
    image[-10:] *= 0.78
    return (image + np.random.default_rng(0).normal(0, 1, image.shape)).clip(0, 254).astype(np.uint8)


def main() -> None:
    """Draw the picture."""
    image = drawn_slide()
    found = find_tissue(image.astype(np.float32), 255)
    figure = Figure(figsize=(8, 2.7), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2)
    panels[0].imshow(image)
    panels[1].imshow(np.where(found[..., None], image, 255 - (255 - image) // 3))
    panels[1].contour(found, [0.5], colors="#009e73", linewidths=1.5)
    for panel, title in zip(panels, ("a slide", "what is predicted"), strict=True):
        panel.set_title(title, fontsize=9)
        panel.axis("off")
    figure.savefig(DOCS / "images" / "tissue.jpg", pil_kwargs={"quality": 85})


if __name__ == "__main__":
    main()
