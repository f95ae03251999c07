"""Worker processes that a server starts beside itself, and starts again where one dies."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from nucseg.serving.settings import Settings

COMMAND = (sys.executable, "-c", "from nucseg.cli import main; main()", "worker", "--until-input-ends")
_PAUSE = 5.0
_log = logging.getLogger(__name__)


@contextmanager
def worker_processes(settings: Settings, command: Sequence[str] = COMMAND) -> Iterator[None]:
    """Keep `settings.workers` worker processes running as long as the block runs.

    They end when this process does, however it ends: their standard input is a pipe from it.

    Args:
        settings: Given to the workers as environment variables.
        command: Starts one.
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

    keepers = [threading.Thread(target=keep, name="keeper", daemon=True) for _ in range(settings.workers)]
    for keeper in keepers:
        keeper.start()
    try:
        yield
    finally:
        stopping.set()
        for process in list(running):
            process.terminate()
        deadline = time.monotonic() + settings.shutdown_timeout
        for keeper in keepers:
            keeper.join(max(0.0, deadline - time.monotonic()))
        for process in list(running):  # its task runs again elsewhere when the lease is over
            process.kill()
