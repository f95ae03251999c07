"""Measure the effect of an image's scale: a model on a split, with and without `scale: auto`, enlarged and shrunk.

    python benchmarks/scales.py --model stardist [--split test] [--ways shrunk]

Needs the processed BBBC038 (`kedro run --env cpu --pipelines data_processing`). Images are enlarged by cubic
interpolation and shrunk by local means, their label images by repeating and leaving out pixels. Pooled F1,
precision and recall at an IoU of 0.5.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from data import split_samples
from numpy.typing import NDArray
from skimage.transform import downscale_local_mean, rescale
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
    "shrunk to a half, at scale 1": (0.5, 1.0),
    "shrunk to a half, auto": (0.5, "auto"),
}

SCORES = ("f1_50", "precision_50", "recall_50")


def main() -> None:
    """Predict, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="stardist")
    parser.add_argument("--split", choices=["val", "test"], default="val")
    parser.add_argument("--ways", default="", help="part of the names of the ways to measure")
    given = parser.parse_args()
    ways = {name: way for name, way in WAYS.items() if given.ways in name}
    samples = split_samples(given.split)
    bundle = Predictor.load(given.model).bundle
    counts: dict[str, list[Counts]] = {name: [] for name in ways}
    for sample in tqdm(samples, unit="image"):
        image, truth = read_image(sample.image_path), read_labels(sample.label_file())
        for name, (factor, scale) in ways.items():
            resized, labels = resized_pair(image, truth, factor)
            found = Predictor(bundle, PredictOptions(scale=scale)).predict(resized)
            counts[name].append(count(overlaps(labels, found.labels)))
    print(f"| {len(samples)} images of {given.split} | {' | '.join(SCORES)} |\n|---|{'---:|' * len(SCORES)}")
    for name, each in counts.items():
        scores = pooled_scores(pool(each))
        print(f"| {name} | {' | '.join(f'{scores[score]:.4f}' for score in SCORES)} |")


def resized_pair(image: NDArray, truth: NDArray, factor: float) -> tuple[NDArray, NDArray]:
    """Resize an image and its label image; dtype and, but for overshoots that are clipped, range of values stay."""
    if factor == 1:
        return image, truth
    if factor < 1:
        step = round(1 / factor)
        height, width = (step * (side // step) for side in truth.shape)
        blocks = (step, step, *[1] * (image.ndim - 2))
        smaller = np.rint(downscale_local_mean(image[:height, :width], blocks))
        return smaller.astype(image.dtype), truth[step // 2 : height : step, step // 2 : width : step]
    axis = -1 if image.ndim == 3 else None
    larger = rescale(image, factor, order=3, preserve_range=True, channel_axis=axis)
    repeated = np.kron(truth, np.ones((round(factor),) * 2, truth.dtype))
    return larger.clip(image.min(), image.max()).astype(image.dtype), repeated


if __name__ == "__main__":
    main()
