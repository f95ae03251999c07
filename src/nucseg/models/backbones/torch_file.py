"""Reading weights saved by PyTorch, without PyTorch and without executing anything."""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import ModelError

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_DTYPES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8"}


@dataclass(frozen=True)
class _Tensor:
    """A view of one of the arrays that follow in the file: `offset` and `strides` count elements."""

    dtype: str
    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _TensorUnpickler(pickle.Unpickler):
    """An unpickler for dictionaries and tensors; it refuses any other name before looking it up."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in for one of the few names that a file of weights needs."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _make_tensor()
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"it names {module}.{name}, which no file of weights needs")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        """Return the dtype and the key of an array that follows in the file."""
        _, dtype, key, _, _, view = pid
        if dtype not in _DTYPES.values() or view is not None:
            raise pickle.UnpicklingError(f"it contains an array of another kind: {pid!r}")
        return dtype, key


def _make_tensor() -> Callable[..., _Tensor]:
    """Return a new function for each use, so that a pickle that changes its attributes changes nothing else."""

    def make(
        stored: tuple[str, str], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
    ) -> _Tensor:
        return _Tensor(*stored, offset, shape, strides)

    return make


def read_torch_file(path: Path) -> dict[str, NDArray]:
    """Read the tensors of a `.pth` file in the format that PyTorch wrote before version 1.6.

    Args:
        path: The file: a dictionary of tensors, saved on a little-endian machine.

    Returns:
        The arrays by name.

    Raises:
        ModelError: It is not readable, has another format, or names anything but dictionaries and tensors.
    """
    try:
        with path.open("rb") as file:
            magic, protocol, system, tensors, keys = (_TensorUnpickler(file).load() for _ in range(5))
            if (magic, protocol, system["little_endian"]) != (_MAGIC, _PROTOCOL, True):
                raise ValueError("not a file that PyTorch saved in its old format")
            dtypes = {tensor.key: tensor.dtype for tensor in tensors.values()}
            arrays = {key: _next_array(file, dtypes[key]) for key in keys}
        return {name: _view(arrays[tensor.key], tensor) for name, tensor in tensors.items()}
    except Exception as error:  # a damaged pickle may raise any exception
        raise ModelError(
            f"{path}: not a readable file of weights ({error}). Reinstall the package that contains it."
        ) from error


def _next_array(file: BinaryIO, dtype: str) -> NDArray:
    size = int(np.frombuffer(file.read(8), "<i8")[0])
    return np.frombuffer(file.read(size * np.dtype(dtype).itemsize), dtype, count=size)


def _view(array: NDArray, tensor: _Tensor) -> NDArray:
    """Return a copy of a tensor's elements.

    Raises:
        ValueError: It reaches beyond the array.
    """
    steps = [(size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)]
    if min([tensor.offset, *tensor.shape, *tensor.strides]) < 0 or tensor.offset + sum(steps) >= len(array):
        raise ValueError(f"a tensor of {tensor.shape} reaches beyond its array of {len(array)} elements")
    bytes_apart = [stride * array.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(array[tensor.offset :], tensor.shape, bytes_apart).copy()
