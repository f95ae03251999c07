import io
import os
import pickle
import sys
from collections import OrderedDict
from types import ModuleType

import numpy as np
import pytest

from nucseg.core.errors import ModelError
from nucseg.models.backbones.torch_file import read_torch_file

HEADER = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})


class Tensor:
    def __init__(self, key, array, offset, shape, strides):
        self.key, self.array, self.rest = key, array, (offset, shape, strides)


@pytest.fixture
def torch(monkeypatch):
    """The names that PyTorch's pickles hold."""
    package, utils = ModuleType("torch"), ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage"):
        setattr(package, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        raise AssertionError("is never called")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", package)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return package


def written(torch, tensors, *, header=HEADER):
    """Write what `torch.save` of before version 1.6 writes."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, np.ndarray):
                kind = torch.FloatStorage if value.dtype == np.float32 else torch.LongStorage
                return "storage", kind, str(id(value)), "cpu", len(value), None
            return None

        def reducer_override(self, value):
            if isinstance(value, Tensor):
                return sys.modules["torch._utils"]._rebuild_tensor_v2, (value.array, *value.rest, False, OrderedDict())
            return NotImplemented

    file = io.BytesIO()
    for part in header:
        pickle.dump(part, file, protocol=2)
    Pickler(file, protocol=2).dump(tensors)
    arrays = {str(id(tensor.array)): tensor.array for tensor in tensors.values()}
    pickle.dump(list(arrays), file, protocol=2)
    for array in arrays.values():
        file.write(np.int64(len(array)).tobytes() + array.tobytes())
    return file.getvalue()


def test_the_tensors_are_read_with_their_strides(torch, tmp_path):
    floats, integers = np.arange(12, dtype=np.float32), np.array([7, 8], np.int64)
    tensors = OrderedDict(
        turned=Tensor("a", floats, 0, (3, 2), (1, 3)),
        part=Tensor("a", floats, 6, (2, 3), (3, 1)),
        one=Tensor("b", integers, 1, (), ()),
    )
    tensors._metadata = OrderedDict(version=1)  # as PyTorch's own state dictionaries have
    path = tmp_path / "weights.pth"
    path.write_bytes(written(torch, tensors))
    found = read_torch_file(path)
    assert list(found) == ["turned", "part", "one"]
    np.testing.assert_array_equal(found["turned"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(found["part"], [[6, 7, 8], [9, 10, 11]])
    assert (found["one"].shape, found["one"].dtype, int(found["one"])) == ((), np.int64, 8)
    found["part"][0, 0] = 1  # a copy of its own


class Command:
    """A pickle of it runs a command where it is loaded."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


class Attribute:
    def __reduce__(self):
        return getattr, (OrderedDict, "fromkeys")


@pytest.mark.parametrize("place", range(5))
def test_a_crafted_file_executes_nothing(place, tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "weights.pth"
    parts = [*HEADER, {}, []]
    parts[place] = Command(f"touch {trace}")
    path.write_bytes(b"".join(pickle.dumps(part) for part in parts))
    with path.open("rb") as file:  # the same, read without care
        for _ in range(5):
            pickle.load(file)
    assert trace.exists()
    trace.unlink()
    with pytest.raises(ModelError, match=r"weights\.pth: .*it names \w+\.system") as error:
        read_torch_file(path)
    assert not trace.exists()
    assert "\n" not in str(error.value)


def test_not_even_the_built_in_functions_are_at_hand(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Attribute()))
    with pytest.raises(ModelError, match=r"it names builtins\.getattr"):
        read_torch_file(path)


@pytest.mark.parametrize(
    "offset,shape,strides", [(0, (5,), (1,)), (3, (2,), (1,)), (0, (2, 2), (3, 1)), (-1, (1,), (1,)), (3, (2,), (-1,))]
)
def test_a_tensor_beyond_its_array_is_refused(offset, shape, strides, torch, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(written(torch, {"w": Tensor("a", np.zeros(4, np.float32), offset, shape, strides)}))
    with pytest.raises(ModelError, match="reaches beyond its array of 4 elements"):
        read_torch_file(path)


@pytest.mark.parametrize("kept", [0, 5, 200, -1])
def test_a_file_cut_short_is_refused(kept, torch, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(written(torch, {"w": Tensor("a", np.zeros(4, np.float32), 0, (4,), (1,))})[:kept])
    with pytest.raises(ModelError, match="not a readable file of weights"):
        read_torch_file(path)


def test_another_format_is_refused(torch, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(written(torch, {}, header=(1, 1001, {"little_endian": True})))
    with pytest.raises(ModelError, match="not a file that PyTorch saved in its old format"):
        read_torch_file(path)
    with pytest.raises(ModelError, match="missing"):
        read_torch_file(tmp_path / "missing.pth")
