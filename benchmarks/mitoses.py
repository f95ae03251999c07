"""How many mitoses of AMi-Br, planted into a slide, are found as nuclei, and what the classifier says of them.

    python benchmarks/mitoses.py AMi-Br --crops 64
    python benchmarks/mitoses.py AMi-Br --crops 64 --classifier mitosis

The folder is that of the dataset `ami_br`. Crops of 128 x 128 pixels (32 µm) are planted, 64 µm apart, into a plain
background. A mitosis counts as found where a nucleus, or a mitosis, has its centre within 7.5 µm of it. With a
classifier, crops that it was trained or tuned on are left out, and mitoses beyond 7.5 µm of a planted one are counted,
some of which are true: a crop may show another mitosis.
"""

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.spatial import KDTree

from nucseg.images.source import array_source
from nucseg.inference.mitoses.config import MERGED_UM, NUCLEUS_PIXEL_SIZE, NUCLEUS_SCORE
from nucseg.inference.mitoses.find import find_mitoses
from nucseg.inference.mitoses.predictor import SlidePredictor, load_classifier
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import load_segmenter
from nucseg.models.registry import resolve_model
from nucseg.models.run import RunRecord

PARTS = ("TUPAC16", "MIDOG21")
THRESHOLDS = (0.9, 0.97, 0.99)
SCORES = (0.1, 0.2, 0.3, 0.6)
CROP, PITCH = 128, 256  # pixels
PIXEL_SIZE = 0.25  # micrometres


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--crops", type=int, default=64, help="of each part")
    parser.add_argument("--model", default="stardist")
    parser.add_argument("--classifier")
    options = parser.parse_args()
    predictor = SlidePredictor(load_segmenter(options.model), PredictOptions(), PIXEL_SIZE)
    seen: set[str] = set()
    if options.classifier:
        classifier = load_classifier(options.classifier)
        thresholds = [classifier.thresholds["probability"], *THRESHOLDS]
        splits = RunRecord.load(resolve_model(options.classifier)).images_seen()
        seen = {key.split("/")[-1] for keys in splits.values() for key in keys}
        print("| part | nuclei | " + " | ".join(f"from {threshold:.3g}" for threshold in thresholds) + " |")
        print("|---|---:" + "|---:" * len(thresholds) + "|")
    else:
        print("| part | µm per pixel | " + " | ".join(f"score {score}" for score in SCORES) + " |")
        print("|---|---:" + "|---:" * len(SCORES) + "|")
    for part in PARTS:
        slide, centres = plant(options.folder / f"{part}.zip", options.crops, seen)
        source = array_source(slide, part, (PIXEL_SIZE, PIXEL_SIZE))
        if options.classifier:
            nuclei = predictor.predict_source(source, PredictOptions(score_threshold=NUCLEUS_SCORE))
            found = find_mitoses(nuclei, source, classifier, min(thresholds))
            cells = []
            for threshold in thresholds:  # a higher one only takes mitoses away
                places = (found.points_um / PIXEL_SIZE - 0.5)[found.table["probability"] >= threshold]
                hits = np.isfinite(nearest(centres, places)).sum()
                others = np.isinf(nearest(places, centres)).sum()
                cells.append(f"{hits} of {len(centres)}, and {others} others")
            print(f"| {part} | {found.nuclei} | {' | '.join(cells)} |", flush=True)
            continue
        for pixel_size in (PIXEL_SIZE, NUCLEUS_PIXEL_SIZE):
            given = PredictOptions(scale=PIXEL_SIZE / pixel_size, score_threshold=min(SCORES))
            instances = predictor.predict_source(source, given).instances()
            places = np.array(
                ndimage.center_of_mass(instances.labels > 0, instances.labels, np.arange(1, len(instances) + 1))
            ).reshape(-1, 2)
            cells = []
            for score in SCORES:
                kept = places[instances.scores >= score]
                cells.append(f"{np.isfinite(nearest(centres, kept)).mean():.0%} of {len(kept)} nuclei")
            print(f"| {part} | {pixel_size:g} | {' | '.join(cells)} |", flush=True)


def plant(archive: Path, count: int, seen: set[str]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Plant crops of an archive into a plain slide.

    Args:
        archive: Zip of WebP images.
        count: Crops at most, chosen by chance.
        seen: Names of crops to leave out.

    Returns:
        The slide, and the centre of each crop `(N, 2)` as (row, column) of pixels.
    """
    generator = np.random.default_rng(0)
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".webp") and Path(name).stem not in seen)
        names = [names[place] for place in generator.permutation(len(names))[:count]]
        crops = [np.asarray(Image.open(io.BytesIO(opened.read(name))).convert("RGB")) for name in names]
    side = int(np.ceil(np.sqrt(len(crops))))
    slide = np.clip(generator.normal((238, 222, 234), 3, (side * PITCH, side * PITCH, 3)), 0, 255).astype(np.uint8)
    corners = [(PITCH * (place // side) + 64, PITCH * (place % side) + 64) for place in range(len(crops))]
    for crop, (top, left) in zip(crops, corners, strict=True):
        slide[top : top + CROP, left : left + CROP] = crop
    return slide, np.array(corners) + (CROP - 1) / 2


def nearest(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of each point to the nearest of others, in pixels; infinite beyond 7.5 µm."""
    if not len(others):
        return np.full(len(points), np.inf)
    distances: NDArray[np.float64] = KDTree(others).query(points, distance_upper_bound=MERGED_UM / PIXEL_SIZE)[0]
    return distances


if __name__ == "__main__":
    main()
