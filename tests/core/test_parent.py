"""A process that ends with the one that started it."""

import subprocess
import sys

PROGRAM = """
import os, time
from nucseg.core.parent import when_input_ends
when_input_ends(lambda: os._exit(7))
print("begun", flush=True)
time.sleep(600)
"""


def test_a_process_ends_with_its_input() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(60) == 7
