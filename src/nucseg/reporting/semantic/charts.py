"""The report's charts of class maps: confusion matrix, IoU of each class, and how reliable probabilities are."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nucseg.reporting.charts import add_legend, line_look, new_chart, style_axes
from nucseg.reporting.embed import FOREGROUND

_NUMBERED = 8  # classes up to which cells have numbers


def confusion_figures(tables: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """Draw the confusion matrix of each model: the share of a true class that is given each class.

    Args:
        tables: Model -> columns `true`, `predicted` and `pixels`, all pairs of classes in order.

    Returns:
        Model -> chart.
    """
    figures = {}
    for model, table in tables.items():
        names = list(dict.fromkeys(table["true"]))
        pixels = table["pixels"].to_numpy(float).reshape(len(names), -1)
        shares = pixels / np.maximum(pixels.sum(1, keepdims=True), 1)
        side = 2.2 + 0.28 * len(names)
        figure = Figure(figsize=(side, side), layout="constrained")
        axes = figure.subplots()
        style_axes(axes)
        axes.grid(visible=False)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        places = range(len(names))
        axes.set_xticks(places, names, rotation=90 if len(names) > _NUMBERED else 0)
        axes.set_yticks(places, names)
        axes.set(xlabel="predicted", ylabel="true")
        if len(names) <= _NUMBERED:
            for row in places:
                for column in places:
                    share = shares[row, column]
                    colour = "white" if share > 0.5 else "black"  # the middle of the colours
                    axes.text(column, row, f"{share:.3f}", ha="center", va="center", color=colour)
        figures[model] = figure
    return figures


def reliability_figure(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the share of pixels whose class is right over its probability, one line a model.

    Args:
        tables: Model -> columns `probability` and `right`.
    """
    figure, axes = new_chart()
    axes.plot([0, 1], [0, 1], color=FOREGROUND, lw=1, ls=":")
    for number, (model, table) in enumerate(tables.items()):
        axes.plot(table["probability"], table["right"], label=model, ms=4, **line_look(number))
    axes.set(xlabel="probability of the predicted class", ylabel="share that is right", xlim=(0, 1.02), ylim=(0, 1.02))
    add_legend(figure)
    return figure
