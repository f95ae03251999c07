"""A function that is called again and again while the work goes on."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nucseg.serving.errors import UnavailableError

LONGEST_PAUSE = 5.0
"""Seconds between two heartbeats at most while they fail."""

_log = logging.getLogger(__name__)


@contextmanager
def heartbeat(seconds: float, call: Callable[[], None]) -> Iterator[None]:
    """Call a function again and again, from a thread, as long as the block runs.

    Args:
        seconds: Between two calls; the first one is after that time.
        call: What it raises is logged in one line, and it is called again.
    """
    ended = threading.Event()

    def beat() -> None:
        pause = seconds
        while not ended.wait(pause):
            try:
                call()
                pause = seconds
            except Exception as error:
                pause = min(2 * pause, max(seconds, LONGEST_PAUSE))
                said = error.for_log() if isinstance(error, UnavailableError) else repr(error)
                _log.warning("A heartbeat failed, the next one is in %.3g s: %s", pause, said)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
