"""Average the weights of models of one architecture (Wortsman et al. 2022, https://arxiv.org/abs/2109.01903).

    python benchmarks/mean_of_weights.py FIRST SECOND --out MEAN --samples data/03_primary/samples.csv

The record and, without --samples, thresholds are those of the last model; with the manifest, new thresholds are
chosen on its val split. Of a single model nothing but its thresholds changes.
"""

import argparse
from pathlib import Path

import numpy as np

from nucseg.datasets.manifest import read_manifest
from nucseg.models.bundle import ModelBundle
from nucseg.tasks import instances
from nucseg.training.train import tune_thresholds


def main() -> None:
    """Average and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=Path)
    given = parser.parse_args()
    *others, last = (ModelBundle.load(folder) for folder in given.folders)
    networks = [each.model.keras_model for each in (*others, last)]
    if len({str([(w.path, w.shape) for w in network.weights]) for network in networks}) > 1:
        parser.error("the models have different architectures")
    for weights in zip(*(network.weights for network in networks), strict=True):
        if weights[-1].dtype == "float32":  # not the state of a generator
            weights[-1].assign(np.mean([each.numpy() for each in weights], axis=0))
    run = last.run
    if others:
        record = {"weights": f"the mean of those of {' and '.join(str(each.run.created) for each in (*others, last))}"}
        training = run.parameters.model_copy(update={"training": {**(run.parameters.training or {}), **record}})
        run = run.model_copy(update={"parameters": training})
    mean = ModelBundle(given.out.name, last.model, last.transforms, run)
    if given.samples:
        mean = tune_thresholds(mean, read_manifest(given.samples), instances.training())
    mean.save(given.out)


if __name__ == "__main__":
    main()
