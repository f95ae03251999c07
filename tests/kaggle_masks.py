"""Kaggle masks read back, as the competition reads them."""

import numpy as np


def kaggle_decode(masks, shape):
    """Paint Kaggle masks, `start length` pairs from 1 down the columns, into a label image `(H, W)` int32."""
    labels = np.zeros(shape[0] * shape[1], np.int32)
    for number, mask in enumerate(masks, start=1):
        for start, length in np.array(mask.split(), int).reshape(-1, 2):
            assert start >= 1
            run = labels[start - 1 : start - 1 + length]
            assert run.size == length
            assert not run.any()
            run[:] = number
    return labels.reshape(shape, order="F")
