"""The report's charts: AP over the IoU threshold, sizes of nuclei, the course of a training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter
from numpy.typing import ArrayLike

from nucseg.reporting.embed import FOREGROUND
from nucseg.reporting.tables import ap_threshold

# Okabe and Ito's colours (https://jfly.uni-koeln.de/color/), which people with any colour vision tell apart, with the
# blue a little lighter; in an order that stands out on white and on dark.
_COLOURS = ("#1F83C4", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = "osD^vP"


def ap_figures(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """Draw AP over the IoU threshold, one line a model.

    Args:
        metrics: `metrics.json` of each model, with keys `ap_<threshold>` in its groups.

    Returns:
        Title -> chart: `All test images`, then one for each dataset and each modality where there are several.
        Empty where no `ap_…` was computed.
    """
    groups = {"All test images": {model["model"]: model["overall"] for model in metrics}}
    for by in ("dataset", "modality"):
        names = sorted({name for model in metrics for name in model["by"].get(by, {})})
        if len(names) > 1:
            for name in names:
                found = {m["model"]: m["by"][by][name] for m in metrics if name in m["by"].get(by, {})}
                groups[f"{by.capitalize()}: {name}"] = found
    figures = {title: _ap_figure(scores) for title, scores in groups.items()}
    return {title: figure for title, figure in figures.items() if figure is not None}


def _ap_figure(scores: Mapping[str, Mapping[str, Any]]) -> Figure | None:
    figure, axes = _chart()
    for number, (model, group) in enumerate(scores.items()):
        points = [(t, value) for key, value in group.items() if (t := ap_threshold(key)) and value is not None]
        if points:
            axes.plot(*zip(*sorted(points), strict=True), label=model, ms=4, **_look(number))
    if not axes.lines:
        return None
    axes.set(xlabel="IoU threshold", ylabel="AP = TP / (TP + FP + FN)", ylim=(0, 1.02))
    _legend(figure)
    return figure


def size_figure(true_diameters: ArrayLike, predicted: Mapping[str, ArrayLike]) -> Figure:
    """Draw how large the true and the predicted nuclei are.

    Args:
        true_diameters: `(N,)`, the diameter in pixels of the circle of equal area, of each true nucleus.
        predicted: Model -> the same of its predicted nuclei.

    Returns:
        Histograms over a logarithmic axis, with common bins; the truth is filled, each model is a line.
    """
    truth = np.asarray(true_diameters, float)
    found = {model: np.asarray(diameters, float) for model, diameters in predicted.items()}
    every = np.concatenate([truth, *found.values()])
    figure, axes = _chart()
    if len(every):
        low, high = every.min() / 1.05, every.max() * 1.05
        bins = np.geomspace(low, high, 31)
        counts, _ = np.histogram(truth, bins)
        axes.stairs(counts, bins, fill=True, color=FOREGROUND, alpha=0.25, label=f"truth ({len(truth):,})")
        for number, (model, diameters) in enumerate(found.items()):
            look = _look(number)
            counts, _ = np.histogram(diameters, bins)
            axes.stairs(counts, bins, color=look["color"], ls=look["ls"], lw=1.8, label=f"{model} ({len(diameters):,})")
        axes.set_xscale("log")
        axes.set_xticks([t for t in (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 500) if low <= t <= high])
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        _legend(figure)
    axes.set(xlabel="diameter of the circle of equal area (pixels)", ylabel="nuclei")
    return figure


def size_figures(sizes: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """Draw the size histograms of each dataset.

    Args:
        sizes: Model -> its rows of `size_rows`. The truth is that of the first model with the dataset.

    Returns:
        Dataset -> chart, sorted by name.
    """
    figures = {}
    for dataset in sorted({name for rows in sizes.values() for name in rows["dataset"]}):
        here = {model: rows[rows["dataset"] == dataset] for model, rows in sizes.items()}
        truth = next(rows for rows in here.values() if len(rows))
        figures[dataset] = size_figure(
            truth.loc[truth["source"] == "truth", "diameter_px"],
            {model: rows.loc[rows["source"] == "predicted", "diameter_px"] for model, rows in here.items()},
        )
    return figures


def training_figure(history: Sequence[Mapping[str, float | None]]) -> Figure | None:
    """Draw the losses and the learning rate over the epochs.

    Args:
        history: `history` of `run.json`: one entry an epoch. Its `loss`, `val_loss` and `learning_rate` are drawn
            where they are there.

    Returns:
        The losses above the learning rate, with a mark at the lowest validation loss; None without any loss.
    """
    table = pd.DataFrame(list(history), dtype=float).dropna(axis="columns", how="all")
    table.index += 1  # epochs are counted from 1
    names = [name for name in ("loss", "val_loss") if name in table]
    if not names:
        return None
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    heights = [3, 1] if "learning_rate" in table else [1]
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for panel in panels:
        _style(panel)
    for number, name in enumerate(names):
        label = {"loss": "training", "val_loss": "validation"}[name]
        look = _look(number) if len(table) <= 30 else _look(number) | {"marker": None}  # markers of many epochs touch
        panels[0].plot(table.index, table[name], label=label, ms=3, **look)
    if "val_loss" in table:
        lowest, best = table["val_loss"].min(), int(table["val_loss"].argmin()) + 1
        panels[0].plot(best, lowest, "*", ms=13, color=FOREGROUND, label=f"lowest: epoch {best}")
    losses = table[names].to_numpy(float)
    if 0 < np.nanmin(losses) < np.nanmax(losses) / 10:
        panels[0].set_yscale("log")
    panels[0].set_ylabel("loss")
    _legend(figure)
    if "learning_rate" in table:
        panels[1].plot(table.index, table["learning_rate"], color=_COLOURS[2])
        panels[1].set(ylabel="learning rate", ylim=(0, None))
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _chart() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    _style(axes)
    return figure, axes


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FOREGROUND)
    axes.tick_params(colors=FOREGROUND, which="both")
    axes.xaxis.label.set_color(FOREGROUND)
    axes.yaxis.label.set_color(FOREGROUND)
    axes.grid(color=FOREGROUND, alpha=0.15, lw=0.7)
    axes.set_axisbelow(True)


def _look(number: int) -> dict[str, Any]:
    """Give the colour, marker and line of the n-th line: three ways to tell it from the others."""
    return {
        "color": _COLOURS[number % len(_COLOURS)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "ls": ("-", "--", "-.", ":")[number % 4],
    }


def _legend(figure: Figure) -> None:
    """Put the legend above the axes, where it hides no data."""
    figure.legend(loc="outside upper left", ncols=3, frameon=False, labelcolor=FOREGROUND, fontsize=9)
