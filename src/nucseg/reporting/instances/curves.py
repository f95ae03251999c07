"""The report's charts of instances: AP over the IoU threshold, sizes of nuclei."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter
from numpy.typing import ArrayLike

from nucseg.reporting.charts import add_legend, line_look, new_chart
from nucseg.reporting.embed import FOREGROUND
from nucseg.reporting.tables import ap_threshold


def ap_figures(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """Draw AP over the IoU threshold, one line per model.

    Args:
        metrics: `metrics.json` of each model, with keys `ap_<threshold>` in its groups.

    Returns:
        Title -> chart: `All test images`, then one for each dataset and each modality if there are several. Empty if no
        `ap_…` was computed.
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
    figure, axes = new_chart()
    for number, (model, group) in enumerate(scores.items()):
        points = [(t, value) for key, value in group.items() if (t := ap_threshold(key)) and value is not None]
        if points:
            axes.plot(*zip(*sorted(points), strict=True), label=model, ms=4, **line_look(number))
    if not axes.lines:
        return None
    axes.set(xlabel="IoU threshold", ylabel="AP = TP / (TP + FP + FN)", ylim=(0, 1.02))
    add_legend(figure)
    return figure


def recall_figure(metrics: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Draw the share of the true nuclei that are found, by their diameter, one line per model.

    Args:
        metrics: `metrics.json` of each model, with `recall_by_diameter`.

    Returns:
        The chart, with the number of true nuclei of each class of diameters; None where no model has these numbers.
    """
    classes: list[str] = []
    figure, axes = new_chart()
    for number, model in enumerate(metrics):
        rows = [row for row in model.get("recall_by_diameter", []) if row["n_true"]]
        names = [f"{_interval_name(row)}\n{row['n_true']:,}" for row in rows]
        classes = names or classes
        axes.plot(names, [row["recall_50"] for row in rows], label=model["model"], ms=4, **line_look(number))
    if not classes:
        return None
    axes.set(xlabel="diameter (pixels), and number of true nuclei", ylabel="recall at IoU 0.50", ylim=(0, 1.02))
    add_legend(figure)
    return figure


def _interval_name(row: Mapping[str, Any]) -> str:
    return f"from {row['from']:g}" if row["to"] is None else f"{row['from']:g} to {row['to']:g}"


def size_figure(true_diameters: ArrayLike, predicted: Mapping[str, ArrayLike]) -> Figure:
    """Draw the sizes of the true and the predicted nuclei.

    Args:
        true_diameters: `(N,)`, for each true nucleus the diameter in pixels of the circle of equal area.
        predicted: Model -> the same for its predicted nuclei.

    Returns:
        Histograms over a logarithmic axis, with common bins; the truth is filled, each model is a line.
    """
    truth = np.asarray(true_diameters, float)
    found = {model: np.asarray(diameters, float) for model, diameters in predicted.items()}
    every = np.concatenate([truth, *found.values()])
    figure, axes = new_chart()
    if len(every):
        low, high = every.min() / 1.05, every.max() * 1.05
        bins = np.geomspace(low, high, 31)
        counts, _ = np.histogram(truth, bins)
        axes.stairs(counts, bins, fill=True, color=FOREGROUND, alpha=0.25, label=f"truth ({len(truth):,})")
        for number, (model, diameters) in enumerate(found.items()):
            look = line_look(number)
            counts, _ = np.histogram(diameters, bins)
            axes.stairs(counts, bins, color=look["color"], ls=look["ls"], lw=1.8, label=f"{model} ({len(diameters):,})")
        axes.set_xscale("log")
        axes.set_xticks([t for t in (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 500) if low <= t <= high])
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        add_legend(figure)
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
