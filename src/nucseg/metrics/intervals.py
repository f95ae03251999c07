"""Bootstrap intervals of scores: whole cases are drawn, since the images of one resemble each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import Sample
from nucseg.metrics.table import Averaging, Metric

_SEED = 0  # the same evaluation has the same intervals
_ENDS = (("low", "lower", 2.5), ("high", "upper", 97.5))


def resampled_sums(values: NDArray, samples: Sequence[Sample], resamples: int) -> NDArray | None:
    """Compute the sums over images of resamples of the cases, drawn with replacement.

    Args:
        values: `(N, ...)`, what is summed of each image.
        samples: The images' rows of the manifest; an image without a case is a case of its own.
        resamples: Number of resamples.

    Returns:
        `(resamples, ...)`; None if there are fewer than two cases, or no resamples are asked for.
    """
    cases = np.unique([sample.case or sample.key for sample in samples], return_inverse=True)[1]
    n_cases = int(cases.max(initial=-1)) + 1
    if not resamples or n_cases < 2:
        return None
    by_case = np.zeros((n_cases, *values.shape[1:]), values.dtype)
    np.add.at(by_case, cases, values)
    drawn = np.random.default_rng(_SEED).multinomial(n_cases, np.full(n_cases, 1 / n_cases), size=resamples)
    return np.tensordot(drawn, by_case, 1)


def interval(key: str, values: NDArray[np.float64]) -> dict[str, float | None]:
    """Return the 95 % interval of a score over resamples.

    Args:
        key: Key of the score.
        values: `(resamples,)`; NaN where the score is not defined.

    Returns:
        `<key>_low` and `<key>_high`: the percentiles 2.5 and 97.5; None if no value is defined.
    """
    known = values[~np.isnan(values)]
    return {f"{key}_{end}": float(np.percentile(known, at)) if len(known) else None for end, _, at in _ENDS}


def interval_metrics(key: str, label: str, short: str, averaging: Averaging, of: str) -> tuple[Metric, Metric]:
    """Return the rows of both ends of a score's interval.

    Args:
        key: Key of the score.
        label: Its readable name.
        short: Its short name.
        averaging: How it is averaged.
        of: Its name in a sentence.
    """
    low, high = (
        Metric(
            f"{key}_{end}",
            f"{label}, {side} end",
            f"{short} {end}",
            averaging,
            f"{side.capitalize()} end of the 95 % interval of {of}: percentile {at} over resamples of the cases (near-"
            "duplicates, patients or slides; else images).",
        )
        for end, side, at in _ENDS
    )
    return low, high
