"""Compare a model's scores on the images that it was trained on, on val, and on val with other colours and grey values.

    python benchmarks/fit.py data/06_models/stardist data/06_models/mask_rcnn
    python benchmarks/fit.py data/06_models/mask_rcnn --splits train --smallest 8
    python benchmarks/fit.py data/06_models/mask_rcnn --splits train --without-clicks

Scores on train that are no better than those on val say that the training fits too little, ones that are much better
that it fits too much. For `changed`, each image of val is changed once by the colour and intensity transforms of the
GPU training (`STRONG` in benchmarks/gpu_jobs.py): a stand-in for other stains and microscopes. With `--smallest` the
nuclei below a diameter count neither as true nor as found. With `--without-clicks` what a single click of a brush left
does not count as true; how many there are is printed. All images are predicted as `nucseg predict` does. The test
split is not read. Needs the processed BBBC038 (`kedro run --env cpu --pipelines data_processing`); only its images
count.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from data import split_samples
from gpu_jobs import JOBS, augmentation
from numpy.typing import NDArray
from skimage.measure import regionprops
from skimage.morphology import octagon
from tqdm import tqdm

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig
from nucseg.augment.window import value_range
from nucseg.images.io import read_image, read_labels
from nucseg.inference.predictor import Predictor
from nucseg.metrics.instances.config import MetricsConfig
from nucseg.metrics.instances.evaluator import Evaluator
from nucseg.models.registry import resolve_model

SPLITS = ("train", "val", "changed")
BRUSH = octagon(3, 1).astype(bool)
METRICS = ("ap", "ap_mean_50_90", "f1_50", "dsb2018_score")
COLUMNS = (
    ("all", "ap_50"),
    ("all", "ap_mean_50_90"),
    ("fluorescence", "ap_50"),
    ("fluorescence", "ap_mean_50_90"),
    ("histology", "f1_50"),
    ("brightfield", "f1_50"),
    ("all", "dsb2018_score"),
)


def main() -> None:
    """Predict, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=SPLITS)
    parser.add_argument("--smallest", type=float, default=0.0, help="diameter in pixels, of a circle of equal area")
    parser.add_argument("--without-clicks", action="store_true", help="leave true nuclei of the shape of a brush out")
    given = parser.parse_args()
    names = " | ".join(f"{group} `{metric}`" for group, metric in COLUMNS)
    print(f"| model | split | {names} |\n|---|---|{'---:|' * len(COLUMNS)}")
    for model in given.models:
        predictor = Predictor.load(resolve_model(model))
        for split in given.splits:
            scores = measure(predictor, split, given.smallest, given.without_clicks)
            cells = " | ".join(f"{scores[group][metric]:.3f}" for group, metric in COLUMNS)
            print(f"| `{model}` | {split} | {cells} |", flush=True)


def measure(predictor: Predictor, split: str, smallest: float, no_clicks: bool) -> dict[str, dict[str, float]]:
    """Return the scores of all images of a split, and of each modality; nuclei below `smallest` pixels do not count."""
    n_clicks = 0
    evaluator = Evaluator(predictor.bundle.name, MetricsConfig(metrics=METRICS))
    samples = [each for each in split_samples("train" if split == "train" else "val") if each.dataset == "bbbc038"]
    area = np.pi / 4 * smallest**2
    augmenter = changes() if split == "changed" else None
    for number, sample in enumerate(tqdm(samples, unit="image")):
        image, truth = read_image(sample.image_path), read_labels(sample.label_file())
        if no_clicks:
            clicks = [region.label for region in regionprops(truth) if is_click(region.image)]
            truth, n_clicks = np.where(np.isin(truth, clicks), 0, truth), n_clicks + len(clicks)
        if augmenter:
            image = changed(image, truth, augmenter, number)
        found = predictor.predict(image, predictor.options.changed(magnification=sample.magnification))
        evaluator.update(sample, without_small(truth, area), found.from_area(area), 0.0)
    if no_clicks:
        tqdm.write(f"{n_clicks} true nuclei of {split} are single clicks of a brush")
    result = evaluator.result()
    return {"all": result["overall"], **result["by"]["modality"]}


def is_click(shape: NDArray) -> bool:
    """Return whether a nucleus has the shape `(h, w)` of a round brush of five pixels, as one click leaves it."""
    return np.array_equal(shape, BRUSH)


def without_small(labels: NDArray, area: float) -> NDArray:
    """Return a label image `(H, W)` without the nuclei below an area in pixels; gaps are left."""
    return np.where(np.bincount(labels.ravel())[labels] < area, 0, labels)


def changes() -> Augmenter:
    """Return the colour and intensity transforms of the GPU training; nothing is moved."""
    strong = augmentation(JOBS["stardist"]).transforms
    kept = tuple(each for each in strong if each.stage in ("colour", "intensity"))
    return Augmenter.from_config(AugmentationConfig(transforms=kept))


def changed(image: NDArray, truth: NDArray, augmenter: Augmenter, seed: int) -> NDArray[np.uint16]:
    """Return an image `(H, W)` or `(H, W, 3)` in other colours and grey values, as uint16; the truth stays."""
    after, _ = augmenter(image, truth, seed, value_range=value_range(image))
    return (np.clip(after, 0, 1) * 65535).round().astype(np.uint16)


if __name__ == "__main__":
    main()
