"""Measure the effect of Mask R-CNN's `rpn_score`: `ap_50` of the val split, by modality, for several values.

    python benchmarks/objectness.py [--model mask_rcnn] [--score 0.3]

The rest of the model stays as it is; nuclei with a score below `--score` are left out. Needs the processed BBBC038
(`kedro run --env cpu --pipelines data_processing`).
"""

import argparse
import os
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from data import split_samples
from tqdm import tqdm

from nucseg.images.io import read_image, read_labels
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.metrics.instances.config import MetricsConfig
from nucseg.metrics.instances.evaluator import Evaluator
from nucseg.models.bundle import ModelBundle
from nucseg.models.mask_rcnn.model import MaskRCNNSegmenter
from nucseg.models.registry import resolve_model

VALUES = (0.0, 0.1, 0.2, 0.25, 0.3, 0.5)


def main() -> None:
    """Predict, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mask_rcnn")
    parser.add_argument("--score", type=float, default=0.3)
    given = parser.parse_args()
    bundle = ModelBundle.load(resolve_model(given.model))
    samples = split_samples("val")
    modalities = sorted({sample.modality for sample in samples})
    print(f"| `rpn_score` | {' | '.join(modalities)} |\n|---|{'---|' * len(modalities)}")
    for value in VALUES:
        model = MaskRCNNSegmenter(bundle.model.config.model_copy(update={"rpn_score": value}))
        model.keras_model.set_weights(bundle.model.keras_model.get_weights())
        model.thresholds = bundle.model.thresholds
        predictor = Predictor(replace(bundle, model=model), PredictOptions(scale=1))
        evaluator = Evaluator(str(value), MetricsConfig(metrics=("ap",)))
        for sample in tqdm(samples, unit="image"):
            image = read_image(sample.image_path)
            found = predictor.predict(
                image, predictor.options.changed(magnification=sample.magnification, score_threshold=given.score)
            )
            evaluator.update(sample, read_labels(sample.label_file()), found, 0.0)
        scores = evaluator.result()["by"]["modality"]
        cells = " | ".join(f"{scores[name]['ap_50']:.3f}" for name in modalities)
        print(f"| {value} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
