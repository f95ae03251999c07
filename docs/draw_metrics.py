"""Draw the pictures of metrics.md, and print its example's scores, from the metrics' own code.

python docs/draw_metrics.py
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from skimage.draw import disk

from nucseg.core.types import Instances, Sample
from nucseg.metrics.instances.config import MetricsConfig
from nucseg.metrics.instances.evaluator import Evaluator
from nucseg.metrics.instances.matching import match
from nucseg.metrics.instances.overlap import overlaps

IMAGES = Path(__file__).with_name("images")
SHAPE = (64, 112)
TRUTH = [((16, 16), 11), ((16, 48), 11), ((16, 82), 9), ((16, 99), 7), ((48, 18), 12), ((48, 52), 9)]
PREDICTION = [((16, 16), 11), ((19, 50), 11), ((16, 88), 15), ((47, 11), 5), ((47, 24), 6), ((48, 90), 9)]
SCORES = [0.95, 0.9, 0.8, 0.6, 0.55, 0.5]


def drawn(disks: list[tuple[tuple[int, int], int]]) -> NDArray[np.int32]:
    """Draw nuclei as disks, 1 to N."""
    labels = np.zeros(SHAPE, np.int32)
    for number, (center, radius) in enumerate(disks, 1):
        labels[disk(center, radius, shape=SHAPE)] = number
    return labels


def example() -> tuple[NDArray[np.int32], NDArray[np.int32], dict[str, float | None]]:
    """Return truth and prediction of the example, and their scores."""
    truth, prediction = drawn(TRUTH), drawn(PREDICTION)
    evaluator = Evaluator("example", MetricsConfig())
    paths = (Path("image.tif"), Path("labels.tif"))
    sample = Sample("1", "example", "test", "fluorescence", None, None, *SHAPE, 1, 6, 20.0, *paths)
    evaluator.update(sample, truth, Instances(prediction, np.array(SCORES, np.float32)), 0.5)
    return truth, prediction, evaluator.result()["overall"]


def outlines(axes: Axes, labels: NDArray[np.int32], color: str) -> None:
    """Draw the outline of each nucleus."""
    for number in range(1, labels.max() + 1):
        axes.contour(labels == number, [0.5], colors=color, linewidths=1.5)


def panel(title: str) -> tuple[Figure, Axes]:
    """Create a picture of the example's frame."""
    figure = Figure(figsize=(5.6, 3.5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(-0.5, SHAPE[1] - 0.5), ylim=(SHAPE[0] - 0.5, -0.5), xticks=[], yticks=[], aspect="equal")
    axes.set_title(title, fontsize=10)
    return figure, axes


def centers(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return row and column of the middle of each nucleus."""
    return np.array([np.argwhere(labels == number).mean(0) for number in range(1, labels.max() + 1)])


def draw() -> dict[str, float | None]:
    """Write the pictures; return the scores of the example."""
    mpl.rcParams["svg.hashsalt"] = "nucseg"
    truth, prediction, scores = example()
    found = overlaps(truth, prediction)

    figure, axes = panel("True nuclei (black), predicted ones (orange), and the IoU of each pair")
    outlines(axes, truth, "black")
    outlines(axes, prediction, "darkorange")
    for true, pred, iou in zip(found.true_index, found.pred_index, found.iou, strict=True):
        row, column = np.argwhere((truth == true + 1) & (prediction == pred + 1)).mean(0)
        axes.text(column, row, f"{iou:.2f}", ha="center", va="center", fontsize=9)
    figure.savefig(IMAGES / "metrics-iou.png")

    pairs = match(found, 0.5)
    figure, axes = panel("At IoU 0.5: matched (green), missed (red), false positives (blue)")
    true_matched, pred_matched = set(pairs.true_index.tolist()), set(pairs.pred_index.tolist())
    for labels, matched, color in ((truth, true_matched, "crimson"), (prediction, pred_matched, "royalblue")):
        for number, (row, column) in enumerate(centers(labels)):
            axes.contour(labels == number + 1, [0.5], colors="seagreen" if number in matched else color, linewidths=1.5)
            if number not in matched:
                axes.text(column, row, "FN" if color == "crimson" else "FP", ha="center", color=color, fontsize=9)
            elif color == "crimson":
                axes.text(column, row, "TP", ha="center", color="seagreen", fontsize=9)
    figure.savefig(IMAGES / "metrics-matching.png")

    figure = Figure(figsize=(5.6, 3.0), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    thresholds = [50, 55, 60, 65, 70, 75, 80, 85, 90, 95]
    axes.step([t / 100 for t in thresholds], [scores[f"ap_{t}"] or 0 for t in thresholds], "o-", where="post")
    axes.set(xlabel="IoU threshold t", ylabel="AP(t) = TP / (TP + FP + FN)", ylim=(0, None))
    figure.savefig(IMAGES / "metrics-ap.png")

    figure, axes = panel("Pixels: in both (green), only true (red), only predicted (blue)")
    colors = np.ones((*SHAPE, 3))
    for mask, color in (
        ((truth > 0) & (prediction > 0), (0.45, 0.75, 0.5)),
        ((truth > 0) & (prediction == 0), (0.9, 0.45, 0.45)),
        ((truth == 0) & (prediction > 0), (0.5, 0.6, 0.9)),
    ):
        colors[mask] = color
    axes.imshow(colors)
    figure.savefig(IMAGES / "metrics-pixels.png")
    return scores


if __name__ == "__main__":
    sys.stdout.writelines(f"{key:25s} {value:.4g}\n" for key, value in draw().items() if value is not None)
