"""Which of the mitoses of a field were found."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import cKDTree


def count_hits(true: NDArray, found: NDArray, distance: float) -> int:
    """Count the pairs of a one-to-one matching with as many pairs as possible.

    Args:
        true: `(N, 2)` rows and columns.
        found: `(K, 2)`.
        distance: Pixels at most between the two of a pair.
    """
    if not len(true) or not len(found):
        return 0
    near = cKDTree(true).query_ball_point(found, distance)
    rows = np.repeat(np.arange(len(found)), [len(each) for each in near])
    columns = np.concatenate([np.asarray(each, int) for each in near])
    pairs = csr_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(found), len(true)))
    return int((maximum_bipartite_matching(pairs, perm_type="column") >= 0).sum())
