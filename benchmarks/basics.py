"""Compare the speed of parts with what they replace: processing, feed, evaluation, run lengths, prediction.

    python benchmarks/basics.py [processing feed evaluation rle prediction]

Pairs are run in turn on the same data, and the table has the medians. `processing` and `feed` need the downloaded and
processed BBBC038 (`kedro run --env cpu --pipelines data_download`, then `data_processing`), `prediction` the shipped
StarDist; a part that lacks what it needs is left out. The machine should be idle. Needs Linux or macOS.
"""

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from numpy.typing import NDArray
from skimage.draw import disk

ROOT = Path(__file__).parents[1]
Row = tuple[str, str, str, str]


def main() -> None:
    """Run each measurement in a separate process and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="none: all")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--stock", default="stardist", help="U-Net that stock StarDist runs, its name or folder")
    parser.add_argument("--one", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        with redirect_stdout(io.StringIO()):
            rows = PARTS[options.one](options)
        sys.stdout.write(json.dumps(rows))
        return
    rows = [["what", "nucseg", "beside it", "times as fast"], ["---"] * 4]
    for part in options.parts or PARTS:
        needed = NEEDS.get(part)
        if needed and not (ROOT / needed).exists():
            sys.stderr.write(f"{part} is left out: it needs {needed}, see the top of {__file__}\n")
            continue
        command = [sys.executable, __file__, "--one", part, "--repeat", str(options.repeat), "--stock", options.stock]
        rows += json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout)
    sys.stdout.write("".join(f"| {' | '.join(row)} |\n" for row in rows))


def paired(ours: Callable[[], Any], others: Callable[[], Any], repeat: int) -> tuple[float, float, float]:
    """Run two functions alternately, after one warm-up run of each.

    Returns:
        The median seconds of each, and the median of others / ours.
    """
    ours()
    others()
    seconds: list[tuple[float, float]] = []
    for _ in range(repeat):
        began = time.perf_counter()
        ours()
        between = time.perf_counter()
        others()
        seconds.append((between - began, time.perf_counter() - between))
    ratio = statistics.median(other / our for our, other in seconds)
    return statistics.median(s[0] for s in seconds), statistics.median(s[1] for s in seconds), ratio


def processing(options: argparse.Namespace) -> list[Row]:
    """Convert the whole archive of BBBC038."""
    from nucseg.datasets.config import ProcessingConfig
    from nucseg.datasets.processing import convert_datasets

    archive = ROOT / "data/01_raw/bbbc038/stage1_train.zip"
    config = ProcessingConfig(transforms=())
    speeds = []
    for _ in range(options.repeat):
        began, n_images = time.perf_counter(), 0
        for chunk in convert_datasets({"bbbc038": archive}, config):
            n_images = len(chunk.converted)
        speeds.append(n_images / (time.perf_counter() - began))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if sys.platform == "linux" else 2**20)
    speed = statistics.median(speeds)
    return [(f"processing {n_images} images of BBBC038", f"{speed:.1f} images/s, peak {peak:.0f} MB", "", "")]


def feed(options: argparse.Namespace) -> list[Row]:
    """Measure the training feed with two threads against the data generator of the stardist package."""
    from csbdeep.utils import normalize
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project
    from stardist.models.model2d import StarDistData2D

    from nucseg.augment.augmenter import Augmenter
    from nucseg.images.io import read_image, read_labels
    from nucseg.images.preprocessing import Preprocessor
    from nucseg.models.registry import create_model
    from nucseg.params import check_parameters
    from nucseg.training.feed import PatchFeed
    from nucseg.training.patches import PatchSource

    bootstrap_project(ROOT)
    with KedroSession.create(ROOT, env="cpu") as session:
        context = session.load_context()
        parameters = check_parameters(context.params, [])
        samples = [s for s in context.catalog.load("samples") if s.split == "train" and min(s.height, s.width) >= 256]
    config = parameters.of_model("stardist").training.model_copy(update={"workers": 2})
    # The package's generator knows no other sizes than the images' own.
    sampling = parameters.of_model("stardist").sampling.model_copy(update={"diameters": None})
    segmenter = create_model("stardist", parameters.of_model("stardist").architecture.model_dump())
    preprocessor = Preprocessor(parameters.data_preprocessing.transforms, segmenter.in_channels)
    images = [np.atleast_3d(normalize(read_image(s.image_path), 1, 99.8)) for s in samples]
    images = [np.repeat(image, 3 // image.shape[-1], -1) for image in images]
    labels = [read_labels(s.label_file()) for s in samples]
    stock = StarDistData2D(
        images,
        labels,
        config.batch_size,
        n_rays=parameters.of_model("stardist").architecture.n_rays,
        length=10**6,
        n_classes=None,
        classes=None,
        patch_size=(config.patch_size,) * 2,
        grid=(parameters.of_model("stardist").architecture.grid,) * 2,
        foreground_prob=sampling.foreground_probability,
    )
    n_batches = 25
    place = iter(range(10**6))
    rows: list[Row] = []
    for title, augmenter in (("without", None), ("with", Augmenter.from_config(parameters.data_augmentations))):
        source = PatchSource(samples, preprocessor, augmenter, config.patch_size, config.cache_mb, sampling)
        batches = iter(PatchFeed(source, segmenter, config).dataset(0))
        # Until the images are cached and the buffer is full, as it is for most of a training.
        for _ in range(8 * n_batches):
            next(batches)
        ours, others, ratio = paired(
            lambda batches=batches: [next(batches) for _ in range(n_batches)],
            lambda: [stock[next(place)] for _ in range(n_batches)],
            options.repeat,
        )
        n_patches = n_batches * config.batch_size
        ours_text, others_text = f"{n_patches / ours:.0f} patches/s", f"`StarDistData2D`: {n_patches / others:.0f}"
        rows.append((f"training feed, 256² patches, {title} augmentation", ours_text, others_text, f"{ratio:.2f}"))
    return rows


def evaluation(options: argparse.Namespace) -> list[Row]:
    """Measure scoring at all ten thresholds against `stardist.matching` called for each."""
    from stardist.matching import matching

    from nucseg.metrics.instances.counts import count
    from nucseg.metrics.instances.overlap import overlaps
    from nucseg.metrics.instances.scores import pooled_scores

    truth = grid_of_nuclei(1024, 400)
    pred = np.roll(truth, 3, axis=(0, 1))
    thresholds = np.arange(0.5, 1, 0.05)
    ours, others, ratio = paired(
        lambda: pooled_scores(count(overlaps(truth, pred))),
        lambda: [matching(truth, pred, thresh=t) for t in thresholds],
        options.repeat,
    )
    what = f"evaluating a 1024² image of {truth.max()} nuclei at ten thresholds"
    return [(what, f"{1000 * ours:.1f} ms", f"`stardist.matching`: {1000 * others:.0f} ms", f"{ratio:.0f}")]


def rle(options: argparse.Namespace) -> list[Row]:
    """Measure encoding a large label image against a loop over the nuclei, timed on some of them."""
    from nucseg.masks.rle import kaggle_encode

    labels, some = grid_of_nuclei(4096, 10_000), 20

    def loop() -> None:
        for number in range(1, some + 1):
            pixels = np.flatnonzero((labels == number).T.ravel()) + 1
            breaks = np.flatnonzero(np.diff(pixels) > 1) + 1
            starts = np.r_[pixels[:1], pixels[breaks]]
            lengths = np.diff(np.r_[np.searchsorted(pixels, starts), len(pixels)])
            " ".join(map(str, np.column_stack([starts, lengths]).ravel().tolist()))

    ours, others, ratio = paired(lambda: kaggle_encode(labels), loop, options.repeat)
    factor = labels.max() / some
    what = f"Kaggle run lengths of {labels.max():,} nuclei in 4096²"
    return [(what, f"{ours:.2f} s", f"loop: {others * factor:.0f} s (from {some} nuclei)", f"{ratio * factor:.0f}")]


def prediction(options: argparse.Namespace) -> list[Row]:
    """Measure prediction against `StarDist2D.predict_instances` with the same scale and precision."""
    from csbdeep.utils import normalize
    from stock import stock_stardist

    from nucseg.inference.options import PredictOptions
    from nucseg.inference.predictor import Predictor
    from nucseg.models.bundle import ModelBundle
    from nucseg.models.registry import resolve_model

    predictor = Predictor.load(resolve_model("stardist"), PredictOptions(scale=1.0))
    stock, thresholds = stock_stardist(ModelBundle.load(resolve_model(options.stock)).model)
    image = drawn_image(1024, 400)
    rgb = np.repeat(image[..., None], 3, -1)
    ours, others, ratio = paired(
        lambda: predictor.predict(image),
        lambda: stock.predict_instances(normalize(rgb, 1, 99.8), **thresholds),
        options.repeat,
    )
    n_ours = len(predictor.predict(image))
    what = f"`Predictor.predict` of a 1024² image ({n_ours} nuclei)"
    return [(what, f"{ours:.2f} s", f"`predict_instances`: {others:.2f} s", f"{ratio:.2f}")]


def grid_of_nuclei(side: int, n_nuclei: int) -> NDArray[np.int32]:
    """Draw disks side by side in a square image."""
    labels = np.zeros((side, side), np.int32)
    columns = int(np.ceil(np.sqrt(n_nuclei)))
    step = side / columns
    for number in range(n_nuclei):
        center = (number // columns * step + step / 2, number % columns * step + step / 2)
        labels[disk(center, 0.42 * step, shape=labels.shape)] = number + 1
    return labels


def drawn_image(side: int, n_nuclei: int) -> NDArray[np.uint8]:
    """Draw bright nuclei with noise on a dark background."""
    from scipy.ndimage import gaussian_filter

    clean = gaussian_filter((grid_of_nuclei(side, n_nuclei) > 0) * 150.0, 1) + 20
    return np.clip(clean + np.random.default_rng(0).normal(0, 5, clean.shape), 0, 255).astype(np.uint8)


PARTS: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "processing": processing,
    "feed": feed,
    "evaluation": evaluation,
    "rle": rle,
    "prediction": prediction,
}

NEEDS = {
    "processing": "data/01_raw/bbbc038/stage1_train.zip",
    "feed": "data/03_primary/samples.csv",
}

if __name__ == "__main__":
    main()
