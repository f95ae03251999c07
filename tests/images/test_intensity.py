import numpy as np
import pytest

from nucseg.images.intensity import to_unit_float, unit_value


@pytest.mark.parametrize(
    "dtype, values, expected",
    [
        ("bool", [0, 1], [0, 1]),
        ("uint8", [0, 51, 255], [0, 0.2, 1]),
        ("uint16", [0, 13107, 65535], [0, 0.2, 1]),
        ("uint32", [0, 2**32 - 1], [0, 1]),
        ("int16", [-32767, 0, 32767], [-1, 0, 1]),
        ("float16", [-2, 0, 300], [-2, 0, 300]),
        ("float64", [-2, 0, 300], [-2, 0, 300]),
    ],
)
def test_integers_come_to_unit_range_and_floats_stay(dtype, values, expected):
    unit = to_unit_float(np.array([values], dtype))
    assert unit.dtype == np.float32
    assert unit[0] == pytest.approx(expected)


def test_small_values_of_a_wide_dtype_stay_apart():
    values = np.arange(256)
    for dtype in ("int32", "uint32", "int64"):
        unit = to_unit_float(values.astype(dtype))
        assert unit * unit_value(np.dtype(dtype)) == pytest.approx(values)


def test_the_input_is_not_changed():
    image = np.array([[1, 2]], np.uint8)
    to_unit_float(image)
    assert image.tolist() == [[1, 2]]
