"""Loops over pixels, compiled by Numba."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

_Loop = TypeVar("_Loop", bound=Callable[..., Any])


def compiled(loop: _Loop) -> _Loop:
    """Return a loop that is compiled when it is called first, and runs without Python's lock.

    The machine code is kept on disk, so that only the first process on a machine waits for the compiler; where there is
    no folder to write to, every process does.

    Args:
        loop: A function of arrays and numbers. Those that it calls must be in its file: the code is compiled anew when
            that file changes.
    """
    fast: Any
    try:
        fast = numba.njit(nogil=True, cache=True)(loop)
    except RuntimeError:  # Numba found no such folder
        fast = numba.njit(nogil=True)(loop)
    return fast
