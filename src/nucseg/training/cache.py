"""What has been read of samples, kept within a memory limit."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class _Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=_Sized)


class Cache(Generic[T]):
    """Holds each sample once, within `mb`; the least recently used ones are read again. Safe to use from threads.

    Args:
        n: Number of samples.
        mb: Memory limit in MiB.
        load: Reads the sample at a place.
    """

    def __init__(self, n: int, mb: int, load: Callable[[int], T]) -> None:
        self._load = load
        self._held: OrderedDict[int, T] = OrderedDict()  # the least recently used first
        self._room = mb * 2**20
        self._lock = threading.Lock()
        self._load_locks = [threading.Lock() for _ in range(n)]

    def __len__(self) -> int:
        """Return the number of samples in memory."""
        return len(self._held)

    def get(self, index: int) -> T:
        """Return the sample at `index`, from memory or from its files."""
        with self._load_locks[index]:  # a second thread waits instead of reading the same image again
            with self._lock:
                if index in self._held:
                    self._held.move_to_end(index)
                    return self._held[index]
            loaded = self._load(index)
            with self._lock:
                self._held[index] = loaded
                self._room -= loaded.nbytes
                while self._room < 0:
                    self._room += self._held.popitem(last=False)[1].nbytes
        return loaded
