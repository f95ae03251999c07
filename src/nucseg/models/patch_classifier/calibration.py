"""Choice of temperature and threshold on validation patches, after the training."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

_RANGE = (0.05, 20.0)


def fit_temperature(logits: NDArray[np.float32], classes: NDArray) -> float:
    """Find the temperature at which the probabilities are most likely (Guo et al. 2017).

    Args:
        logits: `(N,)` of class 1.
        classes: `(N,)`, 0 or 1.

    Returns:
        The divisor for logits, from 0.05 to 20.
    """
    signed = np.where(np.asarray(classes) == 1, -1.0, 1.0) * logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, signed / np.exp(log_temperature)).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(_RANGE)), method="bounded")
    return float(np.exp(found.x))


def best_threshold(probabilities: NDArray[np.float32], classes: NDArray) -> float:
    """Find the threshold with the best F1.

    Args:
        probabilities: `(N,)` of class 1.
        classes: `(N,)`, 0 or 1.

    Returns:
        The midpoint between the lowest probability that counts as class 1 and the highest that does not; 0.5 where no
        patch is of class 1.
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked, hits = probabilities[order].astype(np.float64), np.cumsum(np.asarray(classes)[order] == 1)
    if not hits[-1]:
        return 0.5
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + hits[-1])
    below = np.append(ranked[1:], 0.0)
    f1[ranked == below] = -1  # no threshold lies between equal ones
    best = int(np.argmax(f1))
    return float((ranked[best] + below[best]) / 2)
