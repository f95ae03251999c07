"""Calling a function periodically during other work."""

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
    """Call a function periodically, from a thread, while the block runs.

    Args:
        seconds: Interval between calls; the first call is after one interval.
        call: The function; an exception is logged in one line, and the calls continue.
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
