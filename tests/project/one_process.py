"""Run a script in bash whose `kedro` and `nucseg` are this process, which imports TensorFlow once.

python one_process.py SCRIPT
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

HAND_OVER = """
here() { printf '%q ' "$@" >&$ASKED; echo >&$ASKED; local status; read -r status <&$ENDED; return $status; }
kedro() { here kedro "$@"; }
nucseg() { here nucseg "$@"; }
"""


def run(program: str, *words: str) -> int:
    """Run one command as its own entry point does, and return its status."""
    try:
        if program == "kedro":  # before it finds the project, nucseg is not imported: the project may be another copy
            from kedro.framework.cli.cli import KedroCLI

            KedroCLI(Path.cwd())(words)
        else:
            from nucseg.cli import cli

            cli(words)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except Exception:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def main() -> None:
    """Do what the script asks for until it ends; end with its status."""
    asked, ask = os.pipe()
    ended, end = os.pipe()
    script = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", HAND_OVER + sys.argv[1]],
        pass_fds=(ask, ended),
        env=os.environ | {"ASKED": str(ask), "ENDED": str(ended)},
    )
    os.close(ask)
    os.close(ended)
    with os.fdopen(asked) as lines, os.fdopen(end, "w", buffering=1) as answers:
        for line in lines:
            status = run(*shlex.split(line))
            sys.stdout.flush()
            answers.write(f"{status}\n")
    sys.exit(script.wait())


if __name__ == "__main__":
    main()
