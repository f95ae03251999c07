"""Small things that go on beside the work."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)


@contextmanager
def every(seconds: float, call: Callable[[], None]) -> Iterator[None]:
    """Call a function again and again, from a thread, as long as the block runs.

    Args:
        seconds: Between two calls; the first one is after that time.
        call: What it raises is logged, and it is called again.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(seconds):
            try:
                call()
            except Exception:
                _log.exception("A heartbeat failed; the next one follows.")

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
