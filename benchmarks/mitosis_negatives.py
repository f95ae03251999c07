"""How many annotated nuclei of histology images, none known to be a mitosis, the classifier calls a mitosis.

    python benchmarks/mitosis_negatives.py data/03_primary/samples.csv

The manifest is that of `kedro run --pipelines data_processing`. The datasets do not say the pixel size: each of those
given is tried.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from nucseg.datasets.manifest import read_manifest
from nucseg.images.io import read_image, read_labels
from nucseg.images.source import array_source
from nucseg.inference.mitoses.patches import PatchReader
from nucseg.inference.mitoses.predictor import load_classifier
from nucseg.models.protocols import PatchClassifier

THRESHOLDS = (0.9, 0.97, 0.99)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--classifier", default="mitosis")
    parser.add_argument("--pixel-sizes", type=float, nargs="+", default=[0.25, 0.5], help="assumed, in micrometres")
    parser.add_argument("--splits", nargs="+", default=["val"], help="splits of the images used")
    options = parser.parse_args()
    classifier = load_classifier(options.classifier)
    samples = [
        sample
        for sample in read_manifest(options.manifest)
        if sample.modality == "histology" and sample.split in options.splits
    ]
    images = [(read_image(sample.image_path)[..., :3], read_labels(sample.label_file())) for sample in tqdm(samples)]
    thresholds = [classifier.thresholds["probability"], *THRESHOLDS]
    print("| µm per pixel | nuclei | " + " | ".join(f"from {threshold:.3g}" for threshold in thresholds) + " |")
    print("|---:|---:" + "|---:" * len(thresholds) + "|")
    for pixel_size in options.pixel_sizes:
        found = np.concatenate([probabilities(*image, pixel_size, classifier) for image in tqdm(images)])
        counts = [int((found >= np.float32(threshold)).sum()) for threshold in thresholds]
        cells = " | ".join(f"{count} ({count / len(found):.1%})" for count in counts)
        print(f"| {pixel_size:g} | {len(found)} | {cells} |", flush=True)


def probabilities(
    image: NDArray[np.uint8], labels: NDArray[np.int32], pixel_size: float, classifier: PatchClassifier
) -> NDArray[np.float32]:
    """Classify the patch around each nucleus."""
    numbers = np.unique(labels[labels > 0])
    centres = np.array(ndimage.center_of_mass(labels > 0, labels, numbers)).reshape(-1, 2)
    source = replace(array_source(image), pixel_size=(pixel_size, pixel_size))
    return classifier.classify(PatchReader(source, classifier.patch_size, classifier.pixel_size).patches(centres))


if __name__ == "__main__":
    main()
