"""`kedro viz` starts and shows the six pipelines, the model's namespace and every node."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from nucseg.pipeline_registry import register_pipelines

ROOT = Path(__file__).parents[1]


def _ask(port: int, server: subprocess.Popen) -> dict[str, Any] | None:
    """What the server answers, or None if it has stopped."""
    while server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/main", timeout=60) as answer:
                return json.load(answer)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    return None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _clean_environment() -> dict[str, str]:
    """Leave out what other tests set, such as the PYTHONPATH of a copy of the project."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"TERM": "dumb", "NO_ALBUMENTATIONS_UPDATE": "1"}


@pytest.mark.slow
def test_kedro_viz_lists_pipelines_namespace_and_nodes(tmp_path: Path) -> None:
    port = next(port for port in range(20_000, 32_000) if _is_free(port))  # kedro viz refuses those above 49151
    command = [sys.executable, "-m", "kedro", "viz", "run", "--no-browser", "--port", str(port)]
    printed = tmp_path / "kedro-viz.log"
    with printed.open("w") as log:
        # A process group of its own: kedro viz starts another process, which must end with it.
        server = subprocess.Popen(
            command, cwd=ROOT, start_new_session=True, env=_clean_environment(), stdout=log, stderr=subprocess.STDOUT
        )
        try:
            shown = _ask(port, server)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)
    assert shown is not None, f"kedro viz ended with status {server.returncode}:\n{printed.read_text()}"
    pipelines = register_pipelines()
    assert {entry["id"] for entry in shown["pipelines"]} == set(pipelines)
    names = {entry["full_name"] for entry in shown["nodes"] if entry["type"] == "task"}
    assert names == {node.name for node in pipelines["__default__"].nodes}
    assert "stardist" in shown["modular_pipelines"]
    layers = ["raw", "intermediate", "primary", "model_input", "models", "model_output", "reporting"]
    assert shown["layers"] == layers
