import numpy as np

from nucseg.metrics.patches.hits import count_hits


def test_pairs_are_one_to_one_and_as_many_as_possible() -> None:
    true = np.array([(0, 0), (0, 40)])
    assert count_hits(true, np.array([(0, 20), (0, -20)]), 30) == 2  # the nearest alone would leave one
    assert count_hits(true, np.array([(0, 1), (0, 2), (1, 0)]), 30) == 1
    assert count_hits(true, np.array([(0, 31), (31, 40)]), 30) == 1
    assert count_hits(true, np.zeros((0, 2)), 30) == 0
    assert count_hits(np.zeros((0, 2)), true, 30) == 0
