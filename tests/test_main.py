import subprocess
import sys

import nucseg


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "nucseg", *arguments], capture_output=True, text=True, check=False)


def test_the_module_is_the_command_line():
    ended = run("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith(f"{nucseg.__version__}\n")


def test_its_exit_status_is_that_of_the_command():
    ended = run("predict")
    assert ended.returncode == 2
    assert "INPUT" in ended.stderr
