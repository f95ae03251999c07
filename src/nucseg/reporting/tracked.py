"""Models as runs in MLflow, where MLFLOW_TRACKING_URI is set."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from nucseg.core.errors import ConfigError
from nucseg.models.registry import folder_kind
from nucseg.models.run import RunRecord
from nucseg.models.version import model_version
from nucseg.reporting.lineage import flatten

logger = logging.getLogger(__name__)

VARIABLE = "MLFLOW_TRACKING_URI"
STORE = "sqlite:///mlflow.db"
"""Where runs are kept if the variable is empty: a file in the working directory."""

EXPERIMENT = "nucseg"
_LONGEST = 500  # characters of a parameter's value that every version of MLflow takes
_AT_ONCE = 100  # parameters


def check_tracking() -> bool:
    """Return whether runs are logged, before hours of training.

    Raises:
        ConfigError: They are, but MLflow is not installed.
    """
    if VARIABLE not in os.environ:
        return False
    _mlflow()
    return True


def log_models(models: Mapping[str, Path], reports: Sequence[Path], metrics: Mapping[str, Path]) -> None:
    """Log a run for each model: parameters, losses, scores, report and the model's folder.

    Where the variable is not set, nothing happens. A store that cannot be reached is an error line and no exception,
    since the results are in the project.

    Args:
        models: Folder of each model, by the name of its run.
        reports: Pages that show the models.
        metrics: `metrics.json` of each model that was evaluated, by the same names.

    Raises:
        ConfigError: MLflow is not installed.
        ModelError: A model is damaged.
    """
    if not check_tracking():
        return
    for name, folder in models.items():
        try:
            _log(name, folder, reports, metrics.get(name))
        except _mlflow().exceptions.MlflowException as error:
            logger.error("%s is not logged: MLflow says: %s", name, str(error).splitlines()[0])


def _log(name: str, folder: Path, reports: Sequence[Path], metrics: Path | None) -> None:
    mlflow = _mlflow()
    run = RunRecord.load(folder)
    mlflow.set_tracking_uri(os.environ[VARIABLE] or STORE)
    mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT)
    tags = {
        "kind": folder_kind(folder) or "",
        "version": model_version(folder),
        "data_sha256": run.data_sha256 or "",
        "git_commit": run.git_commit or "",
    }
    with mlflow.start_run(run_name=name, tags=tags):
        parameters = [
            (key, str(value)[:_LONGEST]) for key, value in flatten(run.content().get("parameters", {})).items()
        ]
        for first in range(0, len(parameters), _AT_ONCE):
            mlflow.log_params(dict(parameters[first : first + _AT_ONCE]))
        for entry in run.history:
            losses = {key: value for key, value in entry.items() if key != "epoch" and value is not None}
            mlflow.log_metrics(losses, step=int(entry["epoch"] or 0))
        mlflow.log_metrics(_scores(run.validation.scores.get("overall", {}), "val"))
        if metrics is not None:
            mlflow.log_metrics(_scores(json.loads(metrics.read_text("utf-8"))["overall"], "test"))
            mlflow.log_artifact(str(metrics), "scores")
        for report in reports:
            mlflow.log_artifact(str(report))
        mlflow.log_artifacts(str(folder), "model")
    logger.info("%s is logged in MLflow (%s).", name, mlflow.get_tracking_uri())


def _scores(overall: Mapping[str, Any], split: str) -> dict[str, float]:
    """Name scores by their split; one that is not defined is left out."""
    return {f"{split}.{key}": float(value) for key, value in overall.items() if value is not None}


def _mlflow() -> Any:
    try:
        return import_module("mlflow")
    except ImportError as error:
        raise ConfigError(
            f"{VARIABLE} is set, but {error.name} is not installed: pip install 'nucseg[tracking]', or unset it."
        ) from error
