"""Files of named arrays (`.npz`), written completely or not at all."""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from nucseg.core.files import atomic_file


def write_arrays(path: Path, arrays: Mapping[str, Any], *, compressed: bool = False) -> None:
    """Write a file of named arrays.

    Args:
        path: The file.
        arrays: The arrays by name, or what becomes one.
        compressed: Whether the arrays are compressed.

    Raises:
        StorageError: It cannot be written.
    """
    save = np.savez_compressed if compressed else np.savez
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        save(file, **arrays)


@contextmanager
def opened_arrays(path: Path) -> Iterator[Mapping[str, NDArray]]:
    """Open a file of named arrays for reading; what its reader finds wrong is damage.

    Yields:
        The arrays by name, each read when it is asked for.

    Raises:
        OSError: The file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            yield data
    except (ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise OSError(f"{path}: damaged ({error})") from error
