"""Files of named arrays."""

import numpy as np
import pytest

from nucseg.core.arrays import opened_arrays, write_arrays


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_come_back(tmp_path, compressed):
    path = tmp_path / "some.npz"
    write_arrays(path, {"numbers": np.arange(3, dtype=np.int32), "text": "a"}, compressed=compressed)
    with opened_arrays(path) as arrays:
        np.testing.assert_array_equal(arrays["numbers"], np.arange(3, dtype=np.int32), strict=True)
        assert str(arrays["text"]) == "a"
    assert [each.name for each in tmp_path.iterdir()] == ["some.npz"]


def test_damage_is_one_kind_of_error(tmp_path):
    path = tmp_path / "some.npz"
    with pytest.raises(OSError, match="No such file"), opened_arrays(path):
        pass
    write_arrays(path, {"numbers": np.arange(1000)})
    with pytest.raises(OSError, match=r"some\.npz: damaged .*scores"), opened_arrays(path) as arrays:
        arrays["scores"]
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(OSError, match=r"some\.npz: damaged"), opened_arrays(path) as arrays:
        arrays["numbers"]
    path.write_bytes(b"")
    with pytest.raises(OSError, match=r"some\.npz: damaged"), opened_arrays(path):
        pass
