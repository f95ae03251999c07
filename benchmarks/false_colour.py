"""How many nuclei the shipped models find in one stain in false colour, saved as JPEG, and in its grey image.

python benchmarks/false_colour.py
"""

import argparse
import io

import numpy as np
from PIL import Image
from stardist.data import test_image_nuclei_2d

from nucseg.images.io import decode_image
from nucseg.inference.predictor import Predictor

MODELS = ("stardist", "mask_rcnn")
HUES = {"blue": (0, 0, 1), "red": (1, 0, 0), "magenta": (1, 0, 1)}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--qualities", type=int, nargs="+", default=[75, 85, 90])
    options = parser.parse_args()
    image = test_image_nuclei_2d().astype(float)
    grey = np.rint((image - image.min()) * 255 / (image.max() - image.min())).astype(np.uint8)
    predictors = [Predictor.load(name) for name in MODELS]
    counts = " | ".join(str(len(predictor.predict(grey))) for predictor in predictors)
    print(f"| JPEG quality | hue | {' | '.join(MODELS)} |\n|---:|---|---:|---:|\n| (grey) | | {counts} |", flush=True)
    for quality in options.qualities:
        for hue, colour in HUES.items():
            stream = io.BytesIO()
            Image.fromarray(grey[..., None] * np.array(colour, np.uint8)).save(stream, "JPEG", quality=quality)
            seen = decode_image(stream, hue)
            counts = " | ".join(str(len(predictor.predict(seen))) for predictor in predictors)
            print(f"| {quality} | {hue} | {counts} |", flush=True)


if __name__ == "__main__":
    main()
