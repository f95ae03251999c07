import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import regionprops

from nucseg.masks.boxes import boxes


def test_boxes_by_hand():
    labels = np.array([[0, 1, 1], [0, 0, 1], [3, 0, 0]], np.int32)
    found = boxes(labels)
    assert found.dtype == np.float32
    assert found.tolist() == [[0, 1, 2, 3], [0, 0, 0, 0], [2, 0, 3, 1]]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int32", "int64"])
def test_no_nuclei_have_no_boxes(dtype):
    assert boxes(np.zeros((3, 4), dtype)).shape == (0, 4)


@given(arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 6)))
def test_boxes_are_those_of_scikit_image(labels):
    found = boxes(labels)
    regions = {region.label: region.bbox for region in regionprops(labels)}
    assert len(found) == labels.max()
    for number, box in enumerate(found, start=1):
        assert tuple(box) == regions.get(number, (0, 0, 0, 0))
