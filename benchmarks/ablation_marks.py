"""How well a model finds ablation marks in real tiles that it was not trained on, and in the authors' figure `a`.

    python benchmarks/ablation_marks.py FOLDER --model marks
    python benchmarks/ablation_marks.py FOLDER --masks PREDICTED

FOLDER has `tiles/NAME.png` with `tiles/NAME.mask-semiauto.png`, and `figures/a.image.png` with `figures/a.label.png`.
The class 1 of the model is the mark.
PREDICTED has `NAME.png` (white marks; 8-bit probabilities) of each tile and of `a`, at the image's size or, for `a`,
twice that.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from nucseg.inference.options import PredictOptions
from nucseg.inference.semantic.predictor import SemanticPredictor
from nucseg.models.bundle import ModelBundle
from nucseg.models.registry import resolve_model

_CONNECTED = np.ones((3, 3), int)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    ways = parser.add_mutually_exclusive_group(required=True)
    ways.add_argument("--model", help="name or folder of a model that gives each pixel a class")
    ways.add_argument("--masks", type=Path, help="folder of predicted masks")
    parser.add_argument("--tiles", nargs="+", default=["013", "source_small"], help="tiles not trained on")
    parser.add_argument("--threshold", type=float, default=0.5, help="lowest probability of a mark")
    parser.add_argument("--enlarge", type=float, default=2, help="how much figure a, at half resolution, is enlarged")
    parser.add_argument("--min-area", type=int, default=10, help="pixels of the smallest mark and region that counts")
    options = parser.parse_args()

    cases = [(f"{options.folder}/tiles/{name}", ".png", ".mask-semiauto.png", name, 1.0) for name in options.tiles]
    cases.append((f"{options.folder}/figures/a", ".image.png", ".label.png", "a", options.enlarge))
    function = _probabilities(options.model) if options.model else None
    rows = []
    for start, image_end, truth_end, name, enlarge in tqdm(cases):
        image, truth = _grey(Path(start + image_end)), _grey(Path(start + truth_end)) > 127
        if function:
            size = [round(side * enlarge) for side in image.shape[::-1]]
            probability = np.asarray(function(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)), np.float32)
        else:
            probability = _grey(options.masks / f"{name}.png").astype(np.float32) / 255
        # Back to the size of the truth; means, so that a border lies where half a pixel is covered.
        probability = cv2.resize(probability, truth.shape[::-1], interpolation=cv2.INTER_AREA)
        rows.append((name, *score(truth, probability >= options.threshold, options.min_area)))

    print("| image | marks | touched | regions | false specks | IoU |")
    print("|---|---:|---:|---:|---:|---:|")
    tiles = [row for row in rows if row[0] != "a"]
    if len(tiles) > 1:
        rows.append(("tiles together", *(sum(row[i] for row in tiles) for i in range(1, 7))))
    for name, marks, touched, regions, false, shared, either in rows:
        print(
            f"| {name} | {marks} | {touched} ({touched / max(marks, 1):.1%}) | {regions} "
            f"| {false} ({false / max(regions, 1):.1%}) | {shared / max(either, 1):.3f} |"
        )


def score(
    truth: NDArray[np.bool_], predicted: NDArray[np.bool_], min_area: int = 1
) -> tuple[int, int, int, int, int, int]:
    """Compare two masks region by region and pixel by pixel.

    Args:
        truth: (H, W) bool.
        predicted: (H, W) bool.
        min_area: Pixels of the smallest region that is counted, of either mask; pixels of smaller ones still count.

    Returns:
        True marks, how many of them a predicted region overlaps, predicted regions, how many of them overlap no mark,
        and pixels in both masks and in either.
    """
    marks, touched = _overlapping(truth, predicted, min_area)
    regions, real = _overlapping(predicted, truth, min_area)
    return marks, touched, regions, regions - real, int((truth & predicted).sum()), int((truth | predicted).sum())


def _overlapping(mask: NDArray[np.bool_], other: NDArray[np.bool_], min_area: int) -> tuple[int, int]:
    """Return how many regions of at least `min_area` pixels `mask` has, and how many of them `other` overlaps."""
    labels, count = ndimage.label(mask, _CONNECTED)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    shared = np.bincount(labels[other], minlength=count + 1)[1:]
    return int((areas >= min_area).sum()), int(((areas >= min_area) & (shared > 0)).sum())


def _grey(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise SystemExit(f"{path}: is missing or cannot be read as an image.")
    return image


def _probabilities(model: str) -> Callable[[NDArray[np.uint8]], NDArray]:
    """Return the function from an image `(H, W)` to the probability of a mark in each pixel."""
    predictor = SemanticPredictor(ModelBundle.load(resolve_model(model)), PredictOptions(scale=1))

    def probability(image: NDArray[np.uint8]) -> NDArray:
        found = predictor.predict(image)
        confidence = found.confidence.astype(np.float32) / 255
        return np.where(found.classes == 1, confidence, 1 - confidence)

    return probability


if __name__ == "__main__":
    main()
