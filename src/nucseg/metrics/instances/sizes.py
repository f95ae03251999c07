"""Sizes of the true and the predicted nuclei, for the report's histograms."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


def size_rows(dataset: str, true_diameters: ArrayLike, predicted_diameters: ArrayLike) -> pd.DataFrame:
    """Create the size rows of one image, to be concatenated over a model's test images.

    Args:
        dataset: Dataset of the image.
        true_diameters: `(N,)` pixels.
        predicted_diameters: `(M,)` pixels.

    Returns:
        `(N + M)` rows with columns `dataset`, `source` (`truth` or `predicted`) and `diameter_px`.
    """
    truth, predicted = np.asarray(true_diameters, float), np.asarray(predicted_diameters, float)
    return pd.DataFrame(
        {
            "dataset": dataset,
            "source": np.repeat(["truth", "predicted"], [len(truth), len(predicted)]),
            "diameter_px": np.concatenate([truth, predicted]),
        }
    )
