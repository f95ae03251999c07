"""A worker as a process: runs until it is asked to stop, and then returns its current task."""

import logging
import os
import signal
import threading

from nucseg.core.parent import when_input_ends
from nucseg.serving.worker.worker import Worker

_GIVE_BACK_SECONDS = 3.0
_log = logging.getLogger(__name__)


def run_until_signalled(worker: Worker, *, patience: float, until_input_ends: bool = False) -> None:
    """Process jobs until SIGTERM or SIGINT.

    Args:
        worker: The worker.
        patience: Seconds that the worker then has to finish a tile; after that the process ends anyway.
        until_input_ends: Also stop when standard input ends, since then the process that started this one is gone.
    """
    stop = stop_event(until_input_ends=until_input_ends)
    threading.Thread(target=_insist, args=(worker, stop, patience), name="insist", daemon=True).start()
    _log.info("Waiting for tasks.")
    worker.run(stop)
    _log.info("Stopped.")


def _insist(worker: Worker, stop: threading.Event, patience: float) -> None:
    """Return the worker's task and end the process if the worker does not end by itself."""
    stop.wait()
    threading.Event().wait(patience)  # the process usually ends meanwhile, and this thread with it
    giving = threading.Thread(target=worker.abandon, daemon=True)
    giving.start()
    giving.join(_GIVE_BACK_SECONDS)  # longer only if the task table does not answer
    os._exit(0)


def stop_event(*, until_input_ends: bool = False) -> threading.Event:
    """Create an event that is set by SIGTERM and SIGINT; from the main thread only.

    Args:
        until_input_ends: Also set it when the standard input ends.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if until_input_ends:
        when_input_ends(stop.set)
    return stop
