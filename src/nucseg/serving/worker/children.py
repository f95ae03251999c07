"""Worker processes that a server starts, and restarts if one dies."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nucseg.serving.settings import Settings

COMMAND = (sys.executable, "-m", "nucseg", "worker", "--until-input-ends")
_PAUSE = 5.0
_log = logging.getLogger(__name__)


@contextmanager
def worker_processes(settings: Settings, command: Sequence[str] = COMMAND) -> Iterator[None]:
    """Run `settings.workers` worker processes while the block runs.

    They end when this process does, however it ends: their standard input is a pipe from it. A SIGTERM or SIGINT to
    this process is passed on at once, so that they return their tasks while the last requests are answered.

    Args:
        settings: Given to the workers as environment variables.
        command: The command that starts one.
    """
    stopping = threading.Event()
    environment = {**os.environ, **settings.environment()}
    running: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        while not stopping.is_set():
            process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)
            running.append(process)
            if stopping.is_set():
                process.terminate()
            started = time.monotonic()
            code = process.wait()
            running.remove(process)
            if not stopping.is_set():
                _log.warning("A worker ended with %d; another one is started.", code)
                stopping.wait(max(0.0, _PAUSE - (time.monotonic() - started)))

    stopped_at: list[float] = []

    def stop() -> None:
        stopping.set()
        stopped_at.append(time.monotonic())
        for process in list(running):
            process.terminate()

    keepers = [threading.Thread(target=keep, name="keeper", daemon=True) for _ in range(settings.workers)]
    for keeper in keepers:
        keeper.start()
    try:
        with _called_on_signals(stop):
            yield
    finally:
        stop()
        deadline = stopped_at[0] + settings.shutdown_timeout
        for keeper in keepers:
            keeper.join(max(0.0, deadline - time.monotonic()))
        for process in list(running):  # its task runs again elsewhere when the lease expires
            process.kill()


@contextmanager
def _called_on_signals(call: Callable[[], None]) -> Iterator[None]:
    """Call a function when this process is asked to end, before the existing signal handlers."""
    if threading.current_thread() is not threading.main_thread():  # Python allows no other thread to set handlers
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def handle(number: int, frame: Any) -> None:
        call()
        then = before[signal.Signals(number)]
        if callable(then):
            then(number, frame)

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
