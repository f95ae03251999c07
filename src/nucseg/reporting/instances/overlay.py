"""Pictures of one image: true and predicted outlines side by side, with every error in its colour."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from nucseg.core.words import counted
from nucseg.metrics.instances.outcome import outcome
from nucseg.metrics.instances.overlap import overlaps
from nucseg.reporting.pictures import stretch_contrast
from nucseg.reporting.tables import format_score

COLOURS = {
    "correct": "#FFFFFF",
    "missed": "#D55E00",
    "extra": "#56B4E9",
    "merged": "#F0E442",
    "split": "#009E73",
}
"""Outline of each kind of nucleus; the errors in colours of Okabe and Ito (https://jfly.uni-koeln.de/color/)."""

_KINDS = ("background", *COLOURS)
_PANEL_INCHES = 5.0
_PANEL_PIXELS = (600, 1000)


def draw_overlay(
    image: NDArray,
    truth: NDArray[np.integer],
    predicted: NDArray[np.integer],
    facts: Mapping[str, Any],
    stretch: tuple[float, float] = (0.5, 99.8),
) -> Figure:
    """Draw the true outlines and the predicted outlines of one image side by side.

    Left: true nuclei that are missed, split, or lost in a merged prediction. Right: predicted nuclei that are extra,
    merged, or a piece of a split nucleus. `outcome` says which is which. Outlines run along the edges of pixels, so
    they show exactly the label image; where two nuclei touch, the error's colour is on top.

    Args:
        image: `(H, W)` or `(H, W, 3)`, any integer or float dtype.
        truth: True label image `(H, W)`.
        predicted: Predicted label image `(H, W)`.
        facts: The image's row of `per_image.csv`; `dataset`, `image_id`, `modality` and `f1_50` make the title.
        stretch: Percentiles of the pixels that become black and white.

    Returns:
        The figure; its resolution depends on the image's size, within limits.

    Raises:
        InputError: The label images differ in shape, or one is not a label image.
    """
    true_kinds, predicted_kinds, counts = _kinds(truth, predicted)
    shown = stretch_contrast(image, stretch)
    height, width = truth.shape
    # Extreme shapes would give a picture that no page can show; they get margins instead.
    panel_height = float(np.clip(_PANEL_INCHES * height / width, 1.5, 9))
    pixels = np.clip(2 * width, *_PANEL_PIXELS)
    figure = Figure(
        figsize=(2 * _PANEL_INCHES + 0.2, panel_height + 1.1), dpi=pixels / _PANEL_INCHES, layout="constrained"
    )
    left, right = figure.subplots(1, 2)
    _panel(left, shown, truth, true_kinds, f"ground truth: {_nuclei(truth)}")
    _panel(right, shown, predicted, predicted_kinds, f"prediction: {_nuclei(predicted)}")
    figure.suptitle(_title(facts), fontsize=10)
    figure.legend(
        handles=[
            Line2D([], [], color=colour, lw=3, label=kind if kind == "correct" else f"{kind}: {counts[kind]}")
            for kind, colour in COLOURS.items()
        ],
        loc="outside lower center",
        ncols=len(COLOURS),
        facecolor="#222222",
        framealpha=1,
        labelcolor="white",
        fontsize=10,
    )
    return figure


def _kinds(
    truth: NDArray[np.integer], predicted: NDArray[np.integer]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], dict[str, int]]:
    """Return the kind (index of `_KINDS`) of each pixel's true and predicted nucleus, and the count of each error."""
    found = overlaps(truth, predicted)
    errors = outcome(found)
    # A nucleus that is mostly covered by a merged prediction, or a piece that lies mostly in a split nucleus, is part
    # of that error, and is drawn so unless it is an error of its own.
    swallowed = 2 * found.intersection > found.true_areas[found.true_index]
    swallowed &= np.isin(found.pred_labels[found.pred_index], errors.merged)
    piece = 2 * found.intersection > found.pred_areas[found.pred_index]
    piece &= np.isin(found.true_labels[found.true_index], errors.split)
    true_kinds = _kind_image(
        truth,
        found.true_labels,
        {"merged": found.true_labels[found.true_index[swallowed]], "missed": errors.missed, "split": errors.split},
    )
    predicted_kinds = _kind_image(
        predicted,
        found.pred_labels,
        {"split": found.pred_labels[found.pred_index[piece]], "extra": errors.extra, "merged": errors.merged},
    )
    return true_kinds, predicted_kinds, {kind: len(labels) for kind, labels in vars(errors).items()}


def _kind_image(
    labels: NDArray[np.integer], present: NDArray[np.integer], by_kind: Mapping[str, NDArray[np.integer]]
) -> NDArray[np.uint8]:
    kinds = np.full(len(present), _KINDS.index("correct"), np.uint8)
    for kind, found in by_kind.items():
        kinds[np.searchsorted(present, found)] = _KINDS.index(kind)
    if not len(present):
        return np.zeros(labels.shape, np.uint8)
    return np.where(labels > 0, kinds[np.searchsorted(present, labels).clip(0, len(present) - 1)], 0).astype(np.uint8)


def _panel(axes: Axes, image: NDArray, labels: NDArray, kinds: NDArray[np.uint8], title: str) -> None:
    height, width = labels.shape
    axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0), interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
    segments, kind = boundary_segments(labels, kinds)
    # Line widths are in pixels of the picture; otherwise large images of small nuclei would be all lines.
    point = 72 / cast(Figure, axes.figure).dpi
    # A dark casing under all lines keeps white and yellow visible on bright tissue.
    axes.add_collection(
        LineCollection(list(segments), colors="black", linewidths=4 * point, alpha=0.5, capstyle="projecting")
    )
    for number, (name, colour) in enumerate(COLOURS.items(), 1):
        width_px = 1.6 if name == "correct" else 2.8
        axes.add_collection(
            LineCollection(
                list(segments[kind == number]), colors=colour, linewidths=width_px * point, capstyle="projecting"
            )
        )


def boundary_segments(
    labels: NDArray[np.integer], kinds: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Find the pixel edges between different labels, background and the image's border included.

    Args:
        labels: Label image `(H, W)`.
        kinds: `(H, W)`, a number for each pixel's nucleus, 0 in the background.

    Returns:
        Edges `(E, 2, 2)` as pairs of points (x, y) in pixel-corner coordinates, where (0, 0) is the outer corner of
        the first pixel; and `(E,)`, the higher of the kinds on the two sides.
    """
    padded, kind = np.pad(labels, 1), np.pad(kinds, 1)
    across = np.argwhere(padded[:-1, 1:-1] != padded[1:, 1:-1])  # (row, column): edge above pixel (row, column)
    along = np.argwhere(padded[1:-1, :-1] != padded[1:-1, 1:])  # edge left of pixel (row, column)
    points = np.concatenate(
        [
            np.stack([across[:, ::-1], across[:, ::-1] + [1, 0]], axis=1),
            np.stack([along[:, ::-1], along[:, ::-1] + [0, 1]], axis=1),
        ]
    )
    higher = np.concatenate(
        [
            np.maximum(kind[:-1, 1:-1], kind[1:, 1:-1])[tuple(across.T)],
            np.maximum(kind[1:-1, :-1], kind[1:-1, 1:])[tuple(along.T)],
        ]
    )
    return points.astype(np.float64), higher


def _nuclei(labels: NDArray[np.integer]) -> str:
    return counted(len(np.setdiff1d(labels, [0])), "nucleus", "nuclei")


def _title(facts: Mapping[str, Any]) -> str:
    score = format_score(facts.get("f1_50"))
    return f"{facts['dataset']} / {facts['image_id']}\n{facts['modality']} · F1 {score} at IoU 0.50"
