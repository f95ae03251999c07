"""Compare the accuracy of nucseg and stock StarDist, with the same weights or those of another U-Net, on a split.

    python benchmarks/accuracy.py --model stardist [--stock 2D_versatile_fluo.zip] [--split test]

Each image is predicted at its own scale three times: by `predict_instances` of the `stardist` package in float32; by
nucseg, tile by tile and in the precision of `auto`, without the head that refines borders (of a U-Net: the same network
that stock StarDist runs); and by nucseg as shipped. Published models are read as the package stores them. Needs the
processed BBBC038 (`kedro run --env cpu --pipelines data_processing`).
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from data import split_samples
from predict import plain_model
from stardist.matching import matching
from stock import HELP, stock_folder, stock_stardist
from tqdm import tqdm

from nucseg.core.types import Instances
from nucseg.images.io import read_image, read_labels
from nucseg.images.source import array_source
from nucseg.inference.engine import LocalEngine
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.inference.tiled import predict_tiled
from nucseg.metrics.instances.config import MetricsConfig
from nucseg.metrics.instances.evaluator import Evaluator
from nucseg.models.precision import use_precision
from nucseg.models.registry import resolve_model

KEYS = ("ap_50", "f1_50", "ap_mean_50_90", "dsb2018_score")
TILE = 256


def main() -> None:
    """Predict, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="stardist")
    parser.add_argument("--stock", help=HELP)
    parser.add_argument("--split", choices=["val", "test"], default="val")
    given = parser.parse_args()
    samples = split_samples(given.split)
    folder = resolve_model(given.model)
    with tempfile.TemporaryDirectory() as work:
        plain = plain_model(folder, Path(work) / "plain")
        models = {"nucseg, plain": plain, "nucseg": folder} if plain else {"nucseg": folder}
        ours = {name: Predictor.load(model, PredictOptions(scale=1.0)) for name, model in models.items()}
        reference = Predictor.load(stock_folder(given.stock or given.model, Path(work)), PredictOptions(scale=1.0))
    package, options = stock_stardist(reference.bundle.model)
    # Scores at a threshold only: what is below the model's own is not predicted here.
    config = MetricsConfig(metrics=tuple(name for name in MetricsConfig().metrics if name != "map"))
    stock_name = "stock, float32"
    ours = {f"{name}, {predictor.precision}": predictor for name, predictor in ours.items()}
    evaluators = {name: Evaluator(name, config) for name in (stock_name, *ours)}
    agreements = []
    for sample in tqdm(samples, unit="image"):
        image, truth = read_image(sample.image_path), read_labels(sample.label_file())
        use_precision("float32")
        prepared = reference.bundle.preprocessor().fit(image, sample.magnification).image(image)
        # b: the package leaves out proposals within two cells of the border; without this both see the same.
        labels, details = package.predict_instances(prepared, predict_kwargs={"b": 0}, **options)
        found = {stock_name: Instances(labels.astype(np.int32), np.asarray(details["prob"], np.float32))}
        use_precision("auto")
        for name, predictor in ours.items():
            job = predictor.job(
                array_source(image), predictor.options.changed(tile=TILE, magnification=sample.magnification)
            )
            found[name] = predict_tiled(job, LocalEngine()).instances()
        for name, instances in found.items():
            evaluators[name].update(sample, truth, instances, 0.0)
        agreements.append(matching(found[stock_name].labels, found[next(iter(ours))].labels, thresh=0.9))
    print(f"| {len(samples)} images of {given.split} | {' | '.join(KEYS)} |\n|---|{'---|' * len(KEYS)}")
    for name, evaluator in evaluators.items():
        overall = evaluator.result()["overall"]
        print(f"| {name} | {' | '.join(f'{overall[key]:.4f}' for key in KEYS)} |")
    tp, fp, fn = (sum(getattr(each, key) for each in agreements) for key in ("tp", "fp", "fn"))
    print(f"\nf1 at IoU 0.9 between the first two, pooled over {tp + fn} nuclei: {2 * tp / (2 * tp + fp + fn):.4f}")


if __name__ == "__main__":
    main()
