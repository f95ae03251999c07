"""`kedro viz` starts and shows the six pipelines, the model's namespace and every node."""

import json
import os
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


def _ask(port: int, server: subprocess.Popen) -> dict[str, Any]:
    for _ in range(240):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/main", timeout=10) as answer:
                return json.load(answer)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert server.poll() is None, "kedro viz stopped"
            time.sleep(0.5)
    raise AssertionError("kedro viz did not answer")


@pytest.mark.slow
def test_kedro_viz_lists_pipelines_namespace_and_nodes() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "kedro", "viz", "run", "--no-browser", "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # A process group of its own: kedro viz starts another process, which must end with it.
    server = subprocess.Popen(command, cwd=ROOT, start_new_session=True, env=os.environ | {"TERM": "dumb"}, **quiet)
    try:
        shown = _ask(port, server)
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)
    pipelines = register_pipelines()
    assert {entry["id"] for entry in shown["pipelines"]} == set(pipelines)
    names = {entry["full_name"] for entry in shown["nodes"] if entry["type"] == "task"}
    assert names == {node.name for node in pipelines["__default__"].nodes}
    assert "stardist" in shown["modular_pipelines"]
    layers = ["raw", "intermediate", "primary", "model_input", "models", "model_output", "reporting"]
    assert shown["layers"] == layers
