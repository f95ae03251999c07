"""A process that must not outlive the one that started it."""

import os
import threading
from collections.abc import Callable


def when_input_ends(call: Callable[[], object]) -> None:
    """Call a function, in a thread, when the standard input ends: a pipe ends with the process that holds it."""

    def wait_for_end() -> None:
        while os.read(0, 1):  # not sys.stdin: no thread may wait for it when the process ends
            pass
        call()

    threading.Thread(target=wait_for_end, name="parent", daemon=True).start()
