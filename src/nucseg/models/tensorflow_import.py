"""TensorFlow's import for a command line: silent if it succeeds, and without unused packages.

TensorFlow writes some lines to file descriptor 2 while it is imported and when it first looks for a GPU, among them an
error on every machine without one. No environment variable silences them all.
"""

import gc
import os
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from nucseg.core.errors import ConfigError
from nucseg.core.processor import processor_info

_UNUSED = ("IPython", "jax", "matplotlib", "pandas")
"""What Keras and TensorFlow import if it is installed, for functions that a prediction does not call."""

_NVIDIA = (Path("/dev/nvidiactl"), Path("/usr/lib/wsl/lib/libcuda.so.1"))
"""One of these is there where Linux, or Windows' Linux, has NVIDIA's driver."""

_LINE = re.compile(
    r"WARNING: All log messages before absl|To enable the following instructions"
    r"|[IWE]\d{4} [\d:.]+ +\d+ \w+\.cc:\d+\]|\d{4}-\d\d-\d\d [\d:.]+: [IWE] "
)


def prepare_tensorflow(*, lean: bool = False) -> None:
    """Keep the lines of TensorFlow's later import off standard error unless something is wrong.

    They are shown if the import fails, or if there is an NVIDIA driver but TensorFlow finds no GPU; and always with
    TF_CPP_MIN_LOG_LEVEL=0 or 1.

    Args:
        lean: Whether to hide optional packages from TensorFlow and Keras while they are imported, which takes a third
            less time; for processes that only predict.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "tensorflow" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(_UNUSED if lean else ()))


class _Finder(MetaPathFinder):
    """An import finder that finds TensorFlow, once, with a silent import."""

    def __init__(self, hidden: Sequence[str]) -> None:
        self._hidden = hidden

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module
            # An attribute of this one loader; the class keeps its own. (mypy: a method is assigned.)
            spec.loader.exec_module = lambda module: self._run(execute, module)  # type: ignore[method-assign]
        return spec

    def _run(self, execute: Callable[[ModuleType], None], tensorflow: ModuleType) -> None:
        hidden = [name for name in self._hidden if name not in sys.modules]
        sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: "it is not there"
        collects = gc.isenabled()
        gc.disable()  # an import creates many objects but no garbage: looking for garbage takes a seventh of the time
        try:
            with _quiet() as show:
                _check_processor()
                execute(tensorflow)
                if not tensorflow.config.list_physical_devices("GPU") and any(file.exists() for file in _NVIDIA):
                    show("There is an NVIDIA driver, but TensorFlow uses no GPU (`pip install 'nucseg[gpu]'`):")
        finally:
            if collects:
                gc.enable()
            for name in hidden:
                del sys.modules[name]


def _check_processor() -> None:
    """Refuse a processor on which TensorFlow would end the process without a message."""
    flags = processor_info("flags").split()
    if platform.machine() == "x86_64" and flags and "avx" not in flags:
        raise ConfigError(
            f"TensorFlow needs a processor with AVX; {processor_info('model name')} has none. Use another machine, "
            "or give the virtual machine the CPU model of its host."
        )


@contextmanager
def _quiet() -> Iterator[Callable[[str], None]]:
    """Hold back TensorFlow's lines on file descriptor 2; show them after an error, or after a given sentence.

    Other output there in the meantime is delayed a little.
    """
    headings: list[str] = []
    try:
        stderr = -1 if os.environ.get("TF_CPP_MIN_LOG_LEVEL") in ("0", "1") else os.dup(2)
    except OSError:  # it is closed
        stderr = -1
    if stderr < 0:
        yield headings.append
        return
    failed = True
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield headings.append
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            lines = held.read().decode(errors="replace").splitlines()
            kept = [line for line in lines if failed or headings or not _LINE.match(line)]
            # TensorFlow's own lines, where they would have appeared; they are not log lines of nucseg.
            sys.stderr.writelines(f"{line}\n" for line in headings + kept)
