"""The report's charts of classified patches: precision over recall, and how far probabilities are frequencies."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nucseg.metrics.patches.scores import precision_recall, reliability
from nucseg.reporting.charts import add_legend, line_look, new_chart
from nucseg.reporting.embed import FOREGROUND


def recall_figures(classified: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """Draw precision over recall, one line a model.

    Args:
        classified: Model -> its test patches: columns `dataset`, `class` and `probability`.

    Returns:
        Dataset, with its prevalence -> chart. Datasets without a patch of class 1 are left out.
    """
    figures = {}
    for title, tables in _by_dataset(classified).items():
        figure, axes = new_chart()
        for number, (model, table) in enumerate(tables.items()):
            curve = precision_recall(table["probability"].to_numpy(), table["class"].to_numpy())
            if curve is not None:
                axes.plot(curve[1], curve[0], label=model, **(line_look(number) | {"marker": None}))
        if axes.lines:
            axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
            add_legend(figure)
            figures[title] = figure
    return figures


def reliability_figures(classified: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """Draw the share of class 1 over the probability, in bins; calibrated probabilities lie on the diagonal.

    Args:
        classified: As in `recall_figures`.

    Returns:
        Dataset, with its prevalence -> chart.
    """
    figures = {}
    for title, tables in _by_dataset(classified).items():
        figure, axes = new_chart()
        axes.plot([0, 1], [0, 1], color=FOREGROUND, lw=1, ls=":")
        for number, (model, table) in enumerate(tables.items()):
            bins = np.array(reliability(table["probability"].to_numpy(), table["class"].to_numpy()))
            axes.plot(bins[:, 0], bins[:, 1], label=model, ms=5, **line_look(number))
        axes.set(xlabel="predicted probability", ylabel="share of class 1", xlim=(0, 1.02), ylim=(0, 1.02))
        add_legend(figure)
        figures[title] = figure
    return figures


def _by_dataset(classified: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, pd.DataFrame]]:
    """Return the patches of each dataset by model, under the dataset's name and prevalence."""
    found = {}
    for dataset in sorted({name for table in classified.values() for name in table["dataset"]}):
        tables = {model: table[table["dataset"] == dataset] for model, table in classified.items()}
        tables = {model: table for model, table in tables.items() if len(table)}
        first = next(iter(tables.values()))
        title = f"{dataset} ({len(first):,} patches, {100 * (first['class'] == 1).mean():.1f} % of class 1)"
        found[title] = tables
    return found
