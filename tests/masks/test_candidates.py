import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucseg.core.errors import InputError
from nucseg.core.types import Instances, Sample
from nucseg.masks.candidates import candidates_from_record, candidates_record

SAMPLE = Sample("a", "set1", "test", "fluorescence", None, None, 6, 5, 1, 2, 2.0, Path("image.tif"), Path("label.tif"))


def instances(seed: int, shape: tuple[int, int] = (12, 17), n: int = 6) -> Instances:
    """Random pixels of `n` labels at most, numbered without gaps: nuclei of many parts and holes."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, n + 1, shape) * generator.integers(0, 2, shape)
    present, labels = np.unique(np.append(labels, 0), return_inverse=True)
    return Instances(labels[:-1].reshape(shape).astype(np.int32), generator.random(len(present) - 1, np.float32))


@given(st.integers(0, 10_000))
def test_candidates_survive_their_record(seed):
    found = instances(seed)
    record = json.loads(json.dumps(candidates_record(SAMPLE, found, 0.4)))
    again, threshold = candidates_from_record(record)
    np.testing.assert_array_equal(again.labels, found.labels)
    np.testing.assert_array_equal(again.scores, found.scores)
    assert (again.labels.dtype, again.scores.dtype, threshold) == (np.int32, np.float32, 0.4)


def test_candidates_of_an_image_without_any():
    again, _ = candidates_from_record(candidates_record(SAMPLE, Instances.none((6, 5)), 0.5))
    assert again.labels.shape == (6, 5)
    assert len(again) == 0


@pytest.mark.parametrize("damage", [{"size": [1]}, {"masks": None}, {"scores": "x"}, {"score_threshold": None}])
def test_damaged_record_is_refused(damage):
    record = candidates_record(SAMPLE, instances(1), 0.5) | damage
    with pytest.raises(InputError, match="record of a is damaged"):
        candidates_from_record(record)


def test_record_without_a_key_is_refused():
    with pytest.raises(InputError, match="damaged"):
        candidates_from_record({})
