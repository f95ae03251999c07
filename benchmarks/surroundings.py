"""How many nuclei the shipped models find in a picture alone, and placed in even surroundings.

python benchmarks/surroundings.py
"""

import argparse

import numpy as np
from stardist.data import test_image_nuclei_2d

from nucseg.inference.predictor import Predictor

MODELS = ("stardist", "mask_rcnn")


def main() -> None:
    """Count and print a table."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    picture = test_image_nuclei_2d()
    images = {"alone": picture}
    for side, value in ((3000, 0), (800, picture.min()), (800, picture.max())):
        canvas = np.full((side, side), value, picture.dtype)
        top = (side - picture.shape[0]) // 2
        canvas[top : top + picture.shape[0], top : top + picture.shape[1]] = picture
        images[f"in {side} x {side} of {value}"] = canvas
    predictors = [Predictor.load(name) for name in MODELS]
    print(f"| picture | {' | '.join(MODELS)} |\n|---|---:|---:|")
    for name, image in images.items():
        counts = " | ".join(str(len(predictor.predict(image))) for predictor in predictors)
        print(f"| {name} | {counts} |", flush=True)


if __name__ == "__main__":
    main()
