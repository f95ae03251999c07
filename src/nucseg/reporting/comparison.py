"""What tells models apart: their parameters, and their scores on the same images with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap

from nucseg.models.run import RunRecord
from nucseg.reporting.lineage import flatten, one_line
from nucseg.reporting.selection import image_keys
from nucseg.training.recorded import recorded_parameters

CONFIDENCE = 0.95
_RESAMPLES = 2000
_LONGEST = 60
_NOT_RECORDED = "-"


@dataclass(frozen=True)
class Interval:
    """A mean over images with its bootstrap interval.

    Attributes:
        mean: The mean.
        low: Lower end of the interval; None if there are fewer than two images.
        high: Upper end.
    """

    mean: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Paired:
    """One score of two models on the same images.

    Attributes:
        score: Its key in `per_image.csv`.
        first: One model.
        second: The other one.
        n_images: Number of images on which both have the score.
        of_first: Mean of the first.
        of_second: Mean of the second.
        difference: Second minus first, image by image.
        better: Number of images on which the second is better.
        worse: Number of images on which it is worse.
    """

    score: str
    first: str
    second: str
    n_images: int
    of_first: Interval
    of_second: Interval
    difference: Interval
    better: int
    worse: int

    @property
    def clear(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)


def paired_differences(tables: Mapping[str, pd.DataFrame], scores: Sequence[str]) -> list[Paired]:
    """Compare models, two by two, on the images that both have.

    Args:
        tables: `per_image.csv` of each model, by its name.
        scores: Columns to compare; a score that not both have is left out.

    Returns:
        A row for each pair and score. Intervals are percentiles of a bootstrap over images, always the same.
    """
    found = []
    keyed = {name: table.set_axis(image_keys(table)) for name, table in tables.items()}
    for first, second in combinations(keyed, 2):
        for score in scores:
            if score not in keyed[first] or score not in keyed[second]:
                continue
            both = pd.concat([keyed[first][score], keyed[second][score]], axis=1, join="inner").dropna()
            if both.empty:
                continue
            one, other = both.to_numpy(float).T
            gain = other - one
            found.append(
                Paired(
                    score,
                    first,
                    second,
                    len(both),
                    mean_interval(one),
                    mean_interval(other),
                    mean_interval(gain),
                    int((gain > 0).sum()),
                    int((gain < 0).sum()),
                )
            )
    return found


def mean_interval(values: NDArray[np.float64]) -> Interval:
    """Compute the mean of values `(N,)` with N > 0, and its bootstrap interval."""
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, None, None)
    if (values == values[0]).all():
        return Interval(mean, mean, mean)
    drawn = bootstrap(
        (values,), np.mean, n_resamples=_RESAMPLES, confidence_level=CONFIDENCE, method="percentile", rng=0
    ).confidence_interval
    return Interval(mean, float(drawn.low), float(drawn.high))


def parameter_differences(runs: Mapping[str, RunRecord], kinds: Mapping[str, str | None]) -> pd.DataFrame:
    """Return what the models were configured with, where it differs.

    Args:
        runs: The record of each model, by its name.
        kinds: The kind of each; see `recorded_parameters`.

    Returns:
        One row per parameter, its name with dots as the index, and one column of text per model; `-` where it is not
        recorded.
    """
    records = {name: flatten(_configured(run, kinds[name])) for name, run in runs.items()}
    rows = {}
    keys = list(dict.fromkeys(key for record in records.values() for key in record))
    sections = list(dict.fromkeys(key.split(".")[0] for key in keys))
    for key in sorted(keys, key=lambda key: sections.index(key.split(".")[0])):
        values = [_shown(record[key]) if key in record else _NOT_RECORDED for record in records.values()]
        if len(set(values)) > 1:
            rows[key] = values
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(runs))


def _configured(run: RunRecord, kind: str | None) -> dict[str, Any]:
    """Return what was chosen, and what else decides the result: the data and the packages."""
    content = run.content()
    parameters = recorded_parameters(run, kind)
    preprocessing = {each["name"]: each for each in parameters.pop("preprocessing", [])}
    chosen: dict[str, Any] = {
        key: content[key] for key in ("seed", "precision", "data_sha256", "git_commit", "versions") if key in content
    }
    counts = {split: len(keys) for split, keys in content.get("splits", {}).items()}
    thresholds = content.get("validation", {}).get("thresholds", {})
    return {
        **parameters,
        "preprocessing": preprocessing,
        "images": counts,
        "epochs trained": len(content.get("history", [])),
        "thresholds": thresholds,
        **chosen,
    }


def _shown(value: Any) -> str:
    text = one_line(value)
    text = str(value) if text is None else text
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
