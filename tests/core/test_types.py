from pathlib import Path

import numpy as np
import pytest

from nucseg.core.types import Instances, Sample


@pytest.fixture
def three():
    return Instances(np.array([[1, 1, 0], [2, 3, 3]], np.int32), np.array([0.9, 0.5, 0.7], np.float32))


def test_areas_and_length(three):
    assert len(three) == 3
    assert three.areas.tolist() == [2, 1, 2]


def test_none_has_no_nucleus():
    none = Instances.none((2, 3))
    assert none.labels.shape == (2, 3)
    assert none.labels.dtype == np.int32
    assert none.scores.dtype == np.float32
    assert len(none) == len(none.areas) == 0
    assert len(none.above(0.5)) == len(none.from_area(3)) == 0


@pytest.mark.parametrize(
    "threshold, labels, scores",
    [
        (0.0, [[1, 1, 0], [2, 3, 3]], [0.9, 0.5, 0.7]),
        (0.5, [[1, 1, 0], [2, 3, 3]], [0.9, 0.5, 0.7]),
        (0.6, [[1, 1, 0], [0, 2, 2]], [0.9, 0.7]),
        # 0.7 is not a float32: the threshold is rounded as the scores are.
        (0.7, [[1, 1, 0], [0, 2, 2]], [0.9, 0.7]),
        (1.0, [[0, 0, 0], [0, 0, 0]], []),
    ],
)
def test_above_keeps_the_order_and_renumbers(three, threshold, labels, scores):
    kept = three.above(threshold)
    assert kept.labels.tolist() == labels
    assert kept.labels.dtype == np.int32
    assert kept.scores == pytest.approx(scores)
    assert kept.scores.dtype == np.float32
    assert three.labels.max() == 3


def test_small_nuclei_are_left_out_in_the_same_way(three):
    assert three.from_area(1).labels is three.labels
    kept = three.from_area(2)
    assert (kept.labels.tolist(), kept.scores.tolist()) == ([[1, 1, 0], [0, 2, 2]], three.scores[[0, 2]].tolist())
    assert len(three.from_area(2.5)) == 0


def test_the_key_of_a_sample_names_its_dataset():
    sample = Sample(
        "a", "bbbc038", "train", "fluorescence", None, None, 4, 5, 1, 0, None, Path("a.tif"), Path("labels/a.tif")
    )
    assert sample.key == "bbbc038/a"
