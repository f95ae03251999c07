"""Models logged in MLflow, which these tests replace; `tests/test_tracking.py` logs to a store."""

import sys
from pathlib import Path
from typing import Any

import pytest

from nucseg.core.errors import ConfigError
from nucseg.reporting.tracked import VARIABLE, check_tracking, log_models


def test_nothing_is_logged_unless_the_variable_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert not check_tracking()
    log_models({"none": Path("none")}, [], {})


def test_the_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match="mlflow is not installed"):
        check_tracking()


def test_a_store_out_of_reach_is_a_line(
    recording_mlflow: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path, small_stardist: Any
) -> None:
    from nucseg.models.bundle import ModelBundle

    ModelBundle("mine", small_stardist, ()).save(tmp_path / "mine")
    recording_mlflow.start_run.side_effect = recording_mlflow.exceptions.MlflowException("no route\nto host")
    log_models({"mine": tmp_path / "mine"}, [], {})
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "mine is not logged: MLflow says: no route"
    ]
