"""Models that tests train, shared by the processes of a run."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nucseg.core.files import atomic_folder


def trained_once(factory: pytest.TempPathFactory, name: str, train: Callable[[], Any]) -> Path:
    """Return the folder of a model that is trained by the first process that needs it."""
    root = factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / name
    with folder.with_suffix(".lock").open("w") as lock:  # the others wait
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            model = train()
            with atomic_folder(folder, keep=True) as temporary:
                model.save(temporary)
    return folder
