"""Measure the effect of an image's scale: a model on a split, with and without `scale: auto`, and enlarged.

    python benchmarks/scales.py --model stardist [--split test]

Needs the processed BBBC038 (`kedro run --env cpu --pipelines data_processing`). Images are enlarged by cubic
interpolation, their label images by repeating pixels. Pooled F1 at an IoU of 0.5.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from data import split_samples
from numpy.typing import NDArray
from skimage.transform import rescale
from tqdm import tqdm

from nucseg.images.io import read_image, read_labels
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.metrics.instances.counts import Counts, count, pool
from nucseg.metrics.instances.overlap import overlaps
from nucseg.metrics.instances.scores import pooled_scores

WAYS = {
    "at scale 1": (1, 1.0),
    "auto": (1, "auto"),
    "enlarged twice, auto": (2, "auto"),
    "four times, auto": (4, "auto"),
}


def main() -> None:
    """Predict, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="stardist")
    parser.add_argument("--split", choices=["val", "test"], default="test")
    given = parser.parse_args()
    samples = split_samples(given.split)
    bundle = Predictor.load(given.model).bundle
    counts: dict[str, list[Counts]] = {name: [] for name in WAYS}
    for sample in tqdm(samples, unit="image"):
        image, truth = read_image(sample.image_path), read_labels(sample.label_file())
        for name, (factor, scale) in WAYS.items():
            found = Predictor(bundle, PredictOptions(scale=scale)).predict(enlarged(image, factor))
            counts[name].append(count(overlaps(np.kron(truth, np.ones((factor, factor), truth.dtype)), found.labels)))
    scores = {name: pooled_scores(pool(each))["f1_50"] for name, each in counts.items()}
    print(f"| {len(samples)} images of {given.split} | f1_50 | difference |\n|---|---|---|")
    for name, score in scores.items():
        print(f"| {name} | {score:.4f} | {score - scores['at scale 1']:+.4f} |")


def enlarged(image: NDArray, factor: int) -> NDArray:
    """Enlarge an image; its dtype and, but for overshoots that are clipped, its range of values stay."""
    if factor == 1:
        return image
    axis = -1 if image.ndim == 3 else None
    larger = rescale(image, factor, order=3, preserve_range=True, channel_axis=axis)
    return larger.clip(image.min(), image.max()).astype(image.dtype)


if __name__ == "__main__":
    main()
