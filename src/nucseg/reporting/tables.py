"""The scores of `metrics.json` as tables for the report and the console, with explanations."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nucseg.metrics.table import Metric
from nucseg.models.run import RunRecord
from nucseg.models.stardist.config import TRAINED_ON_BBBC038

COUNTS = ("n_images", "n_true", "n_pred")

KEY_SCORES = ("f1_50", "precision_50", "recall_50", "ap_50", "ap_mean_50_90", "dsb2018_score", "map", "aji", "pq")
"""What a table with one row per group shows; a metric that was not computed is left out."""

ENDS = ("low", "high")
"""Endings of the keys of an interval."""

_CONSOLE = (
    *("n_true", "n_pred", "f1_50", "ap_50", "ap_mean_50_90", "map", "aji", "pq"),
    *("prevalence", "f1", "precision", "recall", "average_precision", "roc_auc"),
    *("mean_iou", "mean_dice", "pixel_accuracy", "boundary_f1"),
)
"""Keys of every task; a model has those of its own."""


def metric_rows(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Metric]:
    """Return the rows of the keys in several models' `metrics.json`, in their order; the first row of a key counts.

    A key without a row (in a file of an earlier version) is its own name.
    """
    rows = {row["key"]: Metric(**row) for model in reversed(metrics) for row in model.get("metrics", ())}
    keys = dict.fromkeys(key for model in metrics for key in model["overall"])
    return {key: rows.get(key, Metric(key, key, key, "count" if key in COUNTS else "pooled", "")) for key in keys}


def ap_threshold(key: str) -> float | None:
    """Return the IoU threshold of a key such as `ap_55` (0.55), or None for any other key."""
    name, _, number = key.partition("_")
    return int(number) / 100 if name == "ap" and number.isdecimal() else None


def format_score(value: Any) -> str:
    """Format a count unchanged, a score with three decimals, an undefined value as a dash."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "-"
    if isinstance(value, float | np.floating):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)


def format_with_interval(scores: Mapping[Any, Any], key: str) -> str:
    """Format a score of a group with its 95 % interval, where it has one: `0.861 (0.832 to 0.885)`."""
    low, high = (format_score(scores.get(f"{key}_{end}")) for end in ENDS)
    value = format_score(scores.get(key))
    return value if "-" in (low, high) else f"{value} ({low} to {high})"


def is_end(key: str, scores: Mapping[str, Any]) -> bool:
    """Return whether a key is an end of the interval of another one, beside which it is shown."""
    score, _, end = key.rpartition("_")
    return end in ENDS and score in scores


def group_table(metrics: Sequence[Mapping[str, Any]], by: str) -> pd.DataFrame:
    """Create the table of scores of several models, one row per group and model.

    Args:
        metrics: `metrics.json` of each model.
        by: `overall`, or one of `dataset`, `modality`, `size` (of the images' nuclei), `test_class`.

    Returns:
        Columns `group`, `model`, then every key of the groups in the order of `metrics.json`; undefined scores are NaN.
        Groups are sorted, models keep their order. Empty if no model has such groups.
    """
    rows: list[dict[str, Any]] = []
    for order, model in enumerate(metrics):
        groups = {"all": model["overall"]} if by == "overall" else model["by"].get(by, {})
        first = {"order": order, "model": model["model"]}
        rows += [{"group": str(name), **first, **scores} for name, scores in groups.items()]
    if not rows:
        return pd.DataFrame(columns=["group", "model"])
    table = pd.DataFrame(rows).sort_values(["group", "order"], kind="stable", ignore_index=True)
    return table.drop(columns="order")


def console_table(metrics: Sequence[Mapping[str, Any]]) -> str:
    """Format the scores for a terminal: every model over all images, then by dataset if there are several.

    The columns are keys of `metrics.json`; the text is at most 80 characters wide for short names.
    """
    tables = [group_table(metrics, "overall")]
    by_dataset = group_table(metrics, "dataset")
    if len(set(by_dataset["group"])) > 1:
        tables.append(by_dataset)
    table = pd.concat(tables, ignore_index=True).rename(columns={"group": "data"})
    table = table[["model", "data", *(key for key in _CONSOLE if key in table)]]
    return table.map(format_score).to_string(index=False)


def leak_warning(metrics: Mapping[str, Any], run: RunRecord) -> str | None:
    """Return a warning if test scores are too good because the pretrained weights have seen the test images.

    Args:
        metrics: `metrics.json` of one model.
        run: The record of the same model.

    Returns:
        A sentence, or None if nothing is known to leak.
    """
    origins = [each.parameters.model.get("pretrained") for each in run.ancestry()]
    names = [name for name in origins if name in TRAINED_ON_BBBC038]
    if not names or "bbbc038" not in metrics["by"].get("dataset", {}):
        return None
    return (
        f"{metrics['model']} started from {names[0]}, which was trained on images of BBBC038: "
        "its scores on bbbc038 (and overall) are not scores on unseen images."
    )
