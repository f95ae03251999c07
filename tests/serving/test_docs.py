"""The commands, decoders and notebook that the documentation shows, against a running server."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import imagecodecs
import nbformat
import numpy as np
import pytest
import tifffile
from nbclient import NotebookClient

from nucseg.serving.plane import predictions
from nucseg.serving.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/serving.md").read_text()
TITLES = {"runs until it is stopped", "needs Docker", "needs Kubernetes", "needs AWS"}


def blocks(language: str) -> list[str]:
    """Give the page's blocks of a language, without those whose title says why they are not run here."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def server(processes):
    return processes.server(NUCSEG_WORKERS="1")


def test_each_block_that_is_not_run_says_why() -> None:
    for page in ("serving", "deployment"):
        text = (ROOT / f"docs/{page}.md").read_text()
        assert set(re.findall(r'^```bash title="([^"]+)"$', text, re.MULTILINE)) <= TITLES


def test_the_commands_work(server, tmp_path) -> None:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    commands = "".join(blocks("bash"))
    assert commands.count("http://localhost:5000") > 15
    script = commands.replace("http://localhost:5000", server.url).replace("curl -s ", "curl --fail-with-body -sS ")
    answer = subprocess.run(
        ["bash", "-eux", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert answer.stdout.startswith('{"status":"ok","predictions":[{"mask":[')
    assert '"status":"QUEUED"' in answer.stdout or '"status":"PROCESSING"' in answer.stdout
    assert "nucseg_requests_total" in answer.stdout
    assert imagecodecs.png_decode((tmp_path / "mask.png").read_bytes()).shape == (256, 256)
    assert tifffile.imread(tmp_path / "labels.tif").shape == (256, 256)
    assert json.loads((tmp_path / "nuclei.geojson").read_text())["type"] == "FeatureCollection"


@pytest.fixture
def found(draw_nuclei, fake):
    return fake.Predictor().predict(draw_nuclei((40, 60), 5, seed=1)[0])


def test_the_decoder_in_python(found) -> None:
    names: dict = {}
    exec(blocks("python")[0], names)
    np.testing.assert_array_equal(names["decode"](predictions(found), 40, 60), found.labels)


def test_the_decoder_in_javascript(found, tmp_path) -> None:
    if shutil.which("node") is None:
        pytest.skip("needs node")
    call = f"console.log(JSON.stringify([...decode({json.dumps(predictions(found))}, 40, 60)]))"
    answer = subprocess.run(["node", "-e", blocks("javascript")[0] + call], capture_output=True, check=True)
    np.testing.assert_array_equal(np.reshape(json.loads(answer.stdout), (40, 60)), found.labels)


def test_every_setting_is_documented() -> None:
    documented = set(re.findall(r"NUCSEG_([A-Z_]+)", PAGE))
    assert documented <= {name.upper() for name in Settings.model_fields}
    rare = {"LOADED_MODELS", "SHUTDOWN_TIMEOUT", "POLL"}  # in .env.template
    assert {name.upper() for name in Settings.model_fields} - documented == rare


@pytest.mark.slow
def test_the_notebook_runs(server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NUCSEG_URL", server.url)
    monkeypatch.delenv("MPLBACKEND", raising=False)
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    (tmp_path / "notebooks").mkdir()
    notebook = nbformat.read(ROOT / "notebooks/serving.ipynb", as_version=4)
    resources = {"metadata": {"path": tmp_path / "notebooks"}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
