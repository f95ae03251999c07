import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def drawn():
    """Return the module `drawn.py`, which is a script for subprocesses as well."""
    spec = importlib.util.spec_from_file_location("drawn", Path(__file__).with_name("drawn.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def samples(drawn, tmp_path_factory):
    return drawn.draw_samples(tmp_path_factory.mktemp("drawn"))
