"""A worker as a process: runs until it is asked to stop, and then ends what it is at."""

import logging
import os
import signal
import threading

from nucseg.serving.worker.worker import Worker

_log = logging.getLogger(__name__)


def run_until_signalled(worker: Worker, *, until_input_ends: bool = False) -> None:
    """Work until SIGTERM or SIGINT.

    Args:
        worker: The worker.
        until_input_ends: Also stop when the standard input ends: the process that started this one is gone.
    """
    stop = stop_event(until_input_ends=until_input_ends)
    _log.info("Waiting for tasks.")
    worker.run(stop)
    _log.info("Stopped.")


def stop_event(*, until_input_ends: bool = False) -> threading.Event:
    """Make an event that is set by SIGTERM and SIGINT; from the main thread only.

    Args:
        until_input_ends: Also set it when the standard input ends.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if until_input_ends:

        def wait_for_end() -> None:
            while os.read(0, 1):  # not sys.stdin: at the end of the process nobody may be waiting for it
                pass
            stop.set()

        threading.Thread(target=wait_for_end, name="parent", daemon=True).start()
    return stop
