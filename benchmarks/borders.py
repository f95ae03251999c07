"""Measure what joining touching nuclei gives where a map of borders says that there is none between them.

    python benchmarks/borders.py --model FOLDER [--split val] [--nms 0.4 0.5 0.6]

Polygons split lobed nuclei. Two nuclei become one if the map is low along their common boundary, the boundary is long,
and what both cover is nearly convex; that the foreground is high there follows from the refinement. The map is that of
a network with `refine_border`, and, for every model, that of the true nuclei, an upper bound; a second bound joins what
lies in one true nucleus. Each image is predicted whole, at its own scale. Needs the processed BBBC038 (`kedro run --env
cpu --pipelines data_processing`).
"""

import argparse
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from nucseg.core.types import Instances, Sample
from nucseg.datasets.manifest import read_manifest
from nucseg.images.io import read_image, read_labels
from nucseg.masks.labels import make_whole
from nucseg.metrics.instances.config import MetricsConfig
from nucseg.metrics.instances.evaluator import Evaluator
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.models.registry import resolve_model
from nucseg.models.stardist.model import Candidates
from nucseg.models.stardist.targets import borders

SAMPLES = Path(__file__).parents[1] / "data/03_primary/samples.csv"
COLUMNS = (
    ("fluorescence", "ap_50"),
    ("fluorescence", "ap_mean_50_90"),
    ("histology", "f1_50"),
    ("brightfield", "f1_50"),
    (None, "dsb2018_score"),
)


@dataclass(frozen=True)
class Case:
    """An image.

    Attributes:
        sample: Its row of the manifest.
        truth: The true label image.
        proposals: The polygons with the model's score, before suppression.
        border: The predicted map of borders, or None.
        found: The nuclei that are joined, above the model's threshold.
    """

    sample: Sample
    truth: NDArray[np.int32]
    proposals: Candidates
    border: NDArray[np.float32] | None
    found: Instances


@dataclass(frozen=True)
class Rule:
    """When two nuclei become one.

    Attributes:
        border: The mean of the map along the boundary is below this.
        contact: The boundary is at least this long, relative to the diameter of the smaller one.
        solidity: The union covers at least this share of its convex hull.
        reach: Pixels around the boundary in which the highest value of the map counts: polygons are not exact.
    """

    border: float
    contact: float
    solidity: float
    reach: int

    def __str__(self) -> str:
        """Return the values, for a table."""
        return f"{self.border:g}, {self.contact:g}, {self.solidity:g}, {self.reach}"


@dataclass(frozen=True)
class Touching:
    """The pairs of nuclei with a common boundary.

    Attributes:
        pairs: `(K, 2)` labels, the lower one first.
        lengths: `(K,)`, pixels.
        borders: `(K,)`, mean of the map along the boundary.
    """

    pairs: NDArray[np.int64]
    lengths: NDArray[np.int64]
    borders: NDArray[np.float64]


def touching(labels: NDArray[np.int32], border: NDArray[np.float32], reach: int = 0) -> Touching:
    """List the pairs of nuclei that have 4-connected pixels side by side."""
    near = cv2.dilate(border, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    found, values = [], []
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        here, there = labels[one], labels[other]
        meet = (here != there) & (here > 0) & (there > 0)
        found.append(np.sort(np.stack([here[meet], there[meet]], 1), 1))
        values.append((near[one][meet] + near[other][meet]) / 2)
    pairs, which, lengths = np.unique(np.concatenate(found), axis=0, return_inverse=True, return_counts=True)
    sums = np.bincount(which.ravel(), np.concatenate(values), minlength=len(pairs))
    return Touching(pairs.astype(np.int64), lengths, sums / np.maximum(lengths, 1))


def join(found: Instances, border: NDArray[np.float32], rule: Rule) -> Instances:
    """Join nuclei, the pair with the lowest border first; a union has the higher score of the two."""
    labels, meet = found.labels, touching(found.labels, border, rule.reach)
    areas = np.bincount(labels.ravel(), minlength=len(found.scores) + 1)
    smaller = 2 * np.sqrt(areas[meet.pairs].min(1) / np.pi) if len(meet.pairs) else np.zeros(0)
    may = (meet.borders < rule.border) & (meet.lengths >= rule.contact * smaller)
    root = np.arange(len(found.scores) + 1)
    for place in np.lexsort((meet.pairs[:, 1], meet.pairs[:, 0], meet.borders)):
        low, high = np.sort(root[meet.pairs[place]])
        if may[place] and low != high and solidity(np.isin(root, (low, high))[labels]) >= rule.solidity:
            root[root == high] = low
    return renumbered(found, root)


def join_by_truth(found: Instances, truth: NDArray[np.int32]) -> Instances:
    """Join the touching nuclei of which most pixels lie in the same true nucleus."""
    root, inside = np.arange(len(found.scores) + 1), main_nucleus(found, truth)
    for one, other in touching(found.labels, np.zeros(truth.shape, np.float32)).pairs:
        if inside[one] == inside[other] > 0:
            low, high = np.sort(root[[one, other]])
            root[root == high] = low
    return renumbered(found, root)


def main_nucleus(found: Instances, truth: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return, for each label, the true nucleus with more than half of its pixels, or 0."""
    inside = np.zeros(len(found.scores) + 1, np.int64)
    for label in range(1, len(inside)):
        values, counts = np.unique(truth[found.labels == label], return_counts=True)
        if len(counts) and 2 * counts.max() > counts.sum():
            inside[label] = values[counts.argmax()]
    return inside


def solidity(mask: NDArray[np.bool_]) -> float:
    """Return the share of its convex hull that a mask covers, both with their outermost pixels."""
    rows, columns = np.nonzero(mask)
    points = np.stack([columns, rows], 1).astype(np.int32)
    hull = np.zeros((np.ptp(rows) + 1, np.ptp(columns) + 1), np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points - points.min(0)), 1)
    return len(rows) / np.count_nonzero(hull)


def renumbered(found: Instances, root: NDArray[np.int64]) -> Instances:
    """Give each nucleus the number of its root, without gaps."""
    numbers = np.cumsum(np.bincount(root, minlength=len(root)) > 0) - 1
    labels = make_whole(numbers[root].astype(np.int32)[found.labels])
    return Instances(labels, found.scores[np.unique(root)[1:] - 1])


def predict(bundle: ModelBundle, samples: list[Sample]) -> list[Case]:
    """Propose the nuclei of each image, without tiles, and compute its map of borders where the network has one."""
    model, preprocessor, cases = bundle.model, bundle.preprocessor(), []
    for sample in tqdm(samples, unit="image"):
        image, truth = read_image(sample.image_path), read_labels(sample.label_file()).astype(np.int32)
        seen = preprocessor.fit(image, magnification=sample.magnification).image(image)
        proposals = model.propose([seen], model.thresholds)[0]
        border = None
        if len(model.network.outputs) > 3:
            margins = [(0, -side % model.stride) for side in truth.shape]
            padded = np.pad(seen, (*margins, (0, 0)), mode="reflect")[None]
            border = np.asarray(model.network(padded, training=False)[3])[0, : truth.shape[0], : truth.shape[1], 0]
        cases.append(Case(sample, truth, proposals, border, Instances.none(truth.shape)))
    return cases


def row(name: str, cases: list[Case], joined: Callable[[Case], Instances]) -> str:
    """Score a way of joining: a row of the table."""
    evaluator = Evaluator(
        name, MetricsConfig(metrics=tuple(m for m in MetricsConfig().metrics if m != "map"), bootstrap=0)
    )
    fewer = right = 0
    for case in cases:
        instances = joined(case)
        evaluator.update(case.sample, case.truth, instances, 0.0)
        fewer += len(case.found.scores) - len(instances.scores)
        # Right are the joins within one true nucleus: those that the truth would still make are fewer by them.
        right += len(join_by_truth(instances, case.truth).scores) - len(instances.scores)
        right += len(case.found.scores) - len(join_by_truth(case.found, case.truth).scores)
    result = evaluator.result()
    groups = [result["overall"] if group is None else result["by"]["modality"].get(group, {}) for group, _ in COLUMNS]
    scores = [group.get(key) for group, (_, key) in zip(groups, COLUMNS, strict=True)]
    cells = ["-" if score is None else f"{score:.4f}" for score in scores]
    return f"| {name} | {' | '.join(cells)} | {fewer} | {right} |"


def main() -> None:
    """Predict, join in several ways, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="stardist")
    parser.add_argument("--split", choices=["val", "test"], default="val")
    parser.add_argument("--samples", type=Path, default=SAMPLES)
    parser.add_argument("--nms", type=float, nargs="+", help="instead of the model's own")
    parser.add_argument("--border", type=float, nargs="+", default=[0.1, 0.2, 0.3, 0.4, 0.5])
    parser.add_argument("--contact", type=float, nargs="+", default=[0.5])
    parser.add_argument("--solidity", type=float, nargs="+", default=[0.7])
    parser.add_argument("--reach", type=int, nargs="+", default=[1, 2, 4])
    given = parser.parse_args()
    use_precision("float32")
    samples = [sample for sample in read_manifest(given.samples) if sample.split == given.split]
    bundle = ModelBundle.load(resolve_model(given.model))
    model, proposed = bundle.model, predict(bundle, samples)
    score = model.thresholds["score"]
    heads = [f"{group or 'all'} {key}" for group, key in COLUMNS]
    print(f"Of {len(samples)} images of {given.split}; a rule is border, contact, solidity, reach.\n")
    print(f"| NMS, rule | {' | '.join(heads)} | joins | right ones |\n{'|---' * (len(heads) + 3)}|")
    shapes = list(itertools.product(given.contact, given.solidity, given.reach))
    for nms in given.nms or [model.thresholds["nms"]]:
        cases = [
            replace(case, found=model.decode(case.proposals, case.truth.shape, {"score": score, "nms": nms}))
            for case in proposed
        ]
        print(row(f"{nms:g}, not joined", cases, lambda case: case.found), flush=True)
        print(row(f"{nms:g}, same true nucleus", cases, lambda case: join_by_truth(case.found, case.truth)))
        for shape in shapes:
            rule = Rule(0.5, *shape)
            print(row(f"{nms:g}, true map, {rule}", cases, lambda case: join(case.found, true_map(case), rule)))  # noqa: B023
            for border in given.border if cases[0].border is not None else ():
                rule = Rule(border, *shape)
                print(row(f"{nms:g}, {rule}", cases, lambda case: join(case.found, case.border, rule)), flush=True)  # noqa: B023


def true_map(case: Case) -> NDArray[np.float32]:
    """Return the map that a perfect network would predict."""
    return borders(case.truth).astype(np.float32)


if __name__ == "__main__":
    main()
