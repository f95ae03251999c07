"""The commands, decoders and notebook that the documentation shows, against a running server."""

import csv
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tarfile
import uuid
from pathlib import Path

import imagecodecs
import nbformat
import numpy as np
import pytest
import requests
import tifffile
from nbclient import NotebookClient

from nucseg.serving.answers.instances import predictions
from nucseg.serving.results import NUCLEI
from nucseg.serving.settings import Settings

ROOT = Path(__file__).parents[2]
FAKE = Path(__file__).with_name("fake.py")
PAGE = (ROOT / "docs/serving.md").read_text()
LIST = runpy.run_path(str(ROOT / "docs/list_commands.py"))
# A stand-in for `nucseg` with the fake model.
NUCSEG = f'nucseg() {{ {shlex.quote(sys.executable)} {shlex.quote(str(FAKE))} "$@"; }}\n'


def commands(page: str, title: str | None = None) -> list[str]:
    """Return the commands of a page's blocks with this title; those of the README that ask the server or start it."""
    blocks = [block for block in LIST["blocks"]() if (block.page, block.language, block.title) == (page, "bash", title)]
    if page == "README.md":
        blocks = [block for block in blocks if "http://localhost:5000" in block.text]
    return [command for block in blocks for command in block.commands()]


def code(language: str) -> str:
    """Return the page's decoder in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0]


def run(script: str, folder: Path, **variables: str) -> str:
    """Run a script that stops where something fails; return what it printed."""
    answer = subprocess.run(
        ["bash", "-eux", "-c", script],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout


@pytest.fixture
def server(processes):
    """The server and the worker of the page's own commands."""
    serve, worker = (shlex.split(command) for command in commands("docs/serving.md", "runs until it is stopped"))
    assert [*serve[:2], *worker[:2]] == ["nucseg", "serve", "nucseg", "worker"]
    started = processes.server(*serve[2:])
    processes.run(*worker[1:])
    return started


def test_the_commands_work(server, tmp_path) -> None:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    assert (
        commands("README.md", "runs until it is stopped") == commands("docs/serving.md", "runs until it is stopped")[:1]
    )
    paths = requests.get(f"{server.url}/openapi.json", timeout=60).json()["paths"]
    # What the page /look calls is described, and some of it is run: a training needs corrected images.
    assert [path for path in paths if path.startswith("/look/") and path.replace("{task_id}", "<id>") not in PAGE] == []
    stdout = {}
    for page in ("README.md", "docs/serving.md"):
        script = "\n".join(commands(page))
        shown = [path for path in paths if not path.startswith("/look/")]
        assert [path for path in shown if path[1:].replace("{task_id}", "$task") not in script] == []
        assert [name for name in NUCLEI if name not in script] == []
        script = script.replace("http://localhost:5000", server.url).replace("curl -s ", "curl --fail-with-body -sS ")
        stdout[page] = run(script, tmp_path)
    for name in ("found.json", "nuclei_coco.json"):
        assert json.loads((tmp_path / name).read_text())
    printed = stdout["docs/serving.md"]
    assert printed.startswith('{"status":"ok","predictions":[{"mask":[')
    assert '"status":"QUEUED"' in printed or '"status":"PROCESSING"' in printed
    assert "nucseg_requests_total" in printed
    for name in ("mask.png", "nuclei_mask.png"):
        assert imagecodecs.png_decode((tmp_path / name).read_bytes()).shape == (256, 256)
    for name in ("labels.tif", "nuclei_labels.tif", "corrected.tif"):
        assert tifffile.imread(tmp_path / name).shape == (256, 256)
    for name in ("nuclei.json", "nuclei_coco.json"):
        nuclei = len(json.loads((tmp_path / name).read_text())["annotations"])
    for name in ("nuclei.geojson", "nuclei.csv", "nuclei_geojson.geojson", "nuclei_table.csv"):
        assert (tmp_path / name).stat().st_size > 100
    assert json.loads((tmp_path / "nuclei.geojson").read_text())["type"] == "FeatureCollection"
    with (tmp_path / "nuclei.csv").open() as file:
        assert len(list(csv.DictReader(file))) == nuclei


@pytest.mark.slow
def test_the_commands_of_a_deployment_work(aws, processes, draw_nuclei, encode, monkeypatch, tmp_path) -> None:
    """A worker and `nucseg submit` with SQS, and a model's archive with SageMaker, of which S3 has it already."""
    import boto3

    page = "docs/deployment.md"
    known = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in (known | {"AWS_ENDPOINT_URL": aws}).items():
        monkeypatch.setenv(name, value)
        processes.environment[name] = value
    bucket = uuid.uuid4().hex
    boto3.client("s3").create_bucket(Bucket=bucket)
    queue = boto3.client("sqs").create_queue(QueueName=bucket)["QueueUrl"]

    def ours(command: str) -> str:
        return re.sub(r"https://sqs\.\S+", queue, command).replace("s3://bucket/", f"s3://{bucket}/")

    (worker,) = commands(page, "runs until it is stopped")
    processes.run(*shlex.split(ours(worker))[1:])
    for folder, name in (("slides", "a.png"), ("data/06_models/stardist", "config.json")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_bytes(encode(draw_nuclei((50, 70), 4, seed=3)[0]))
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    script = "\n".join(ours(command) for command in commands(page))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    printed = run(NUCSEG + script, tmp_path, PATH=path)

    assert imagecodecs.png_decode((tmp_path / "slides/masks/a.png.mask.png").read_bytes()).shape == (50, 70)
    with tarfile.open(tmp_path / "stardist.tar.gz") as archive:
        assert archive.getnames() == [".", "./config.json"]
    assert f"is done: s3://{bucket}/predictions/" in printed
    assert boto3.client("sagemaker").list_models()["Models"] == []  # the one of the job is removed


@pytest.fixture
def found(draw_nuclei, fake):
    return fake.Predictor().predict(draw_nuclei((40, 60), 5, seed=1)[0])


def test_the_decoder_in_python(found) -> None:
    names: dict = {}
    exec(code("python"), names)
    np.testing.assert_array_equal(names["decode"](predictions(found), 40, 60), found.labels)


def test_the_decoder_in_javascript(found, tmp_path) -> None:
    if shutil.which("node") is None:
        pytest.skip("needs node")
    call = f"console.log(JSON.stringify([...decode({json.dumps(predictions(found))}, 40, 60)]))"
    answer = subprocess.run(["node", "-e", code("javascript") + call], capture_output=True, check=True)
    np.testing.assert_array_equal(np.reshape(json.loads(answer.stdout), (40, 60)), found.labels)


def test_every_setting_is_documented() -> None:
    documented = set(re.findall(r"NUCSEG_([A-Z_]+)", PAGE))
    assert documented <= {name.upper() for name in Settings.model_fields}
    rare = {"LOADED_MODELS"}  # in .env.template
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
