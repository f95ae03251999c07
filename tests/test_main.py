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


def test_a_message_is_a_line_of_its_own_beside_a_progress_bar():
    code = """
import logging
from tqdm import tqdm
from nucseg import cli
def command():
    with tqdm(total=2) as bar:
        bar.update()
        logging.getLogger("nucseg").info("The nuclei are large.")
cli.cli = command
cli.main()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "The nuclei are large." in ended.stderr.replace("\r", "\n").split("\n")
