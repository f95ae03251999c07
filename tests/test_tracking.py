"""Runs in MLflow, in a process of its own, since MLflow is not among the locked packages."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from nucseg.models.bundle import ModelBundle
from nucseg.models.run import RunRecord
from nucseg.reporting.tracked import VARIABLE
from nucseg.tracking import Tracking

PROGRAM = """
import json
from types import SimpleNamespace
from nucseg.tracking import Tracking
import mlflow

files = {"stardist.model": "mine", "stardist.metrics": "metrics.json", "report": "report.html"}
catalog = {name: SimpleNamespace(_describe=lambda file=file: {"filepath": file}) for name, file in files.items()}
pipeline = SimpleNamespace(all_outputs=lambda: set(files))
hook = Tracking()
hook.before_pipeline_run()
hook.after_pipeline_run(pipeline, catalog)
client = mlflow.MlflowClient()
(run,) = client.search_runs([client.get_experiment_by_name("nucseg").experiment_id])
print(json.dumps({
    "name": run.info.run_name,
    "status": run.info.status,
    "parameters": run.data.params,
    "metrics": run.data.metrics,
    "tags": run.data.tags,
    "losses": [(entry.step, entry.value) for entry in client.get_metric_history(run.info.run_id, "loss")],
    "artifacts": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
    "model": sorted(file.path for file in client.list_artifacts(run.info.run_id, "model")),
}))
"""


@pytest.fixture
def project(tmp_path: Path, small_stardist: Any) -> Path:
    """Return a folder with a model, its scores and a report."""
    record = RunRecord.model_validate(
        {
            "data_sha256": "abc",
            "parameters": {"model": {"grid": 2}, "training": {f"option{number}": number for number in range(130)}},
            "history": [{"epoch": 1, "loss": 2.0, "val_loss": None}, {"epoch": 2, "loss": 1.5, "val_loss": 1.75}],
            "validation": {"scores": {"overall": {"f1_50": 0.875}}},
        }
    )
    ModelBundle("mine", small_stardist, (), record).save(tmp_path / "mine")
    (tmp_path / "metrics.json").write_text(json.dumps({"overall": {"f1_50": 0.75, "map": None}}))
    (tmp_path / "report.html").write_text("the report")
    return tmp_path


def test_a_run_is_logged_in_a_local_store(project: Path) -> None:
    packages = os.environ.get("NUCSEG_MLFLOW")
    if packages is None:
        give_up = pytest.fail if "mlflow" in os.environ.get("NUCSEG_REQUIRE", "") else pytest.skip
        give_up("needs NUCSEG_MLFLOW, a folder with MLflow and the packages that it needs")
    # Behind the locked packages: of those that both have, theirs.
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), packages])
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, VARIABLE: "", "PYTHONPATH": path},
    )
    assert answer.returncode == 0, answer.stderr
    logged = json.loads(answer.stdout.splitlines()[-1])
    assert (logged["name"], logged["status"]) == ("mine", "FINISHED")
    assert logged["parameters"]["model.grid"] == "2"
    assert logged["parameters"]["training.option129"] == "129"
    assert logged["metrics"] == {
        "loss": 1.5,
        "val_loss": 1.75,
        "val.f1_50": 0.875,
        "test.f1_50": 0.75,
    }
    assert logged["losses"] == [[1, 2.0], [2, 1.5]]
    assert logged["tags"]["kind"] == "stardist"
    assert logged["artifacts"] == ["model", "report.html", "scores"]
    assert "model/model.weights.h5" in logged["model"]
    assert (project / "mlflow.db").is_file()


def test_it_is_off_unless_the_variable_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    Tracking().before_pipeline_run()
    Tracking().after_pipeline_run(SimpleNamespace(), {})  # type: ignore[arg-type]


def test_without_the_package_no_run_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "sqlite:///mlflow.db")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(click.ClickException, match=r"pip install 'nucseg\[tracking\]'"):
        Tracking().before_pipeline_run()
