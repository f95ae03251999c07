import numpy as np

from nucseg.core.points import first_of_close


def test_of_close_points_the_first_stays() -> None:
    points = np.array([(10, 10), (30, 10), (10, 50), (12, 52), (30, 45)])
    assert first_of_close(points, 30).tolist() == [True, False, True, False, False]
    # Close to a dropped point only, a point stays.
    assert first_of_close(np.array([(0, 0), (0, 8), (0, 16)]), 10).tolist() == [True, False, True]
    assert first_of_close(np.zeros((0, 2)), 30).tolist() == []
