"""Measure how many nuclei of two sizes are found in one image, at its own scale and with `scale: auto`.

    python benchmarks/two_sizes.py --model stardist mask_rcnn

Beside the real image that the `stardist` package ships lies a part of it, enlarged by cubic interpolation. The truth is
what the model finds in the image itself, enlarged alike; nuclei that are cut to less than a quarter of the median area
do not count. Printed is the recall at an IoU of 0.5, of the small nuclei and of the enlarged ones.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from numpy.typing import NDArray
from skimage.transform import rescale
from stardist.data import test_image_nuclei_2d
from stardist.matching import matching

from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.models.registry import resolve_model

PART, HEIGHT, WIDTH = np.s_[128:384, 128:384], 1000, 512


def main() -> None:
    """Predict and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["stardist", "mask_rcnn"])
    parser.add_argument("--factors", nargs="+", type=int, default=[2, 3, 4, 5])
    given = parser.parse_args()
    image = test_image_nuclei_2d()
    print(
        "| model | enlarged | scale | small nuclei | found | large nuclei | found |\n|---|---:|---|---:|---:|---:|---:|"
    )
    for name in given.model:
        predictor = Predictor.load(resolve_model(name))
        labels = predictor.predict(image, PredictOptions(scale=1.0)).labels
        for factor in given.factors:
            enlarged = rescale(image[PART].astype(float), factor, order=3, preserve_range=True)[:HEIGHT, :WIDTH]
            large = np.kron(labels[PART], np.ones((factor, factor), int))[:HEIGHT, :WIDTH]
            mirrored = np.concatenate([image, image[::-1]])[: len(enlarged)]
            both = np.concatenate([mirrored, enlarged], axis=1).astype(image.dtype)
            for scale in (1.0, "auto"):
                found = predictor.predict(both, PredictOptions(scale=scale)).labels
                counts = [recall(labels, found[:512, :512]), recall(large, found[:, 512:])]
                cells = " | ".join(f"{number} | {share:.2f}" for number, share in counts)
                print(f"| `{name}` | {factor} | {scale} | {cells} |", flush=True)


def recall(truth: NDArray, found: NDArray) -> tuple[int, float]:
    """Return the number of nuclei, and the share of them that is found."""
    areas = np.bincount(truth.ravel())
    rests = np.flatnonzero(areas < np.median(areas[areas > 0]) / 4)
    whole = matching(np.where(np.isin(truth, rests), 0, truth), found, thresh=0.5)
    return whole.n_true, whole.recall


if __name__ == "__main__":
    main()
