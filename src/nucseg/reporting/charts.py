"""The style of the report's charts, and the chart of a model's training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nucseg.reporting.embed import FOREGROUND

# Okabe and Ito's colours (https://jfly.uni-koeln.de/color/), which people with any colour vision tell apart, with the
# blue a little lighter; in an order that stands out on white and on dark.
_COLOURS = ("#1F83C4", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = "osD^vP"


def training_figure(history: Sequence[Mapping[str, float | None]]) -> Figure | None:
    """Draw the losses and the learning rate over the epochs.

    Args:
        history: `history` of `run.json`: one entry per epoch. Its `loss`, `val_loss` and `learning_rate` are drawn if
            they are present.

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
        style_axes(panel)
    for number, name in enumerate(names):
        label = {"loss": "training", "val_loss": "validation"}[name]
        look = line_look(number)
        if len(table) > 30:
            look["marker"] = None  # they would touch
        panels[0].plot(table.index, table[name], label=label, ms=3, **look)
    if "val_loss" in table:
        lowest, best = table["val_loss"].min(), int(table["val_loss"].argmin()) + 1
        panels[0].plot(best, lowest, "*", ms=13, color=FOREGROUND, label=f"lowest: epoch {best}")
    losses = table[names].to_numpy(float)
    if 0 < np.nanmin(losses) < np.nanmax(losses) / 10:
        panels[0].set_yscale("log")
    panels[0].set_ylabel("loss")
    add_legend(figure)
    if "learning_rate" in table:
        panels[1].plot(table.index, table["learning_rate"], color=_COLOURS[2])
        panels[1].set(ylabel="learning rate", ylim=(0, None))
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def new_chart() -> tuple[Figure, Axes]:
    """Create a chart of one panel."""
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    style_axes(axes)
    return figure, axes


def style_axes(axes: Axes) -> None:
    """Set lines and colours that are readable on light and dark pages."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FOREGROUND)
    axes.tick_params(colors=FOREGROUND, which="both")
    axes.xaxis.label.set_color(FOREGROUND)
    axes.yaxis.label.set_color(FOREGROUND)
    axes.grid(color=FOREGROUND, alpha=0.15, lw=0.7)
    axes.set_axisbelow(True)


def line_look(number: int) -> dict[str, Any]:
    """Return the colour, marker and style of the n-th line, so that it differs from the others in three ways."""
    return {
        "color": _COLOURS[number % len(_COLOURS)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "ls": ("-", "--", "-.", ":")[number % 4],
    }


def add_legend(figure: Figure) -> None:
    """Draw the legend above the axes, where it hides no data."""
    figure.legend(loc="outside upper left", ncols=3, frameon=False, labelcolor=FOREGROUND, fontsize=9)
