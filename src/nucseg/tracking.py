"""Runs in MLflow, where MLFLOW_TRACKING_URI is set."""

from __future__ import annotations

import logging
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.hooks import hook_impl

from nucseg.models.registry import project_models
from nucseg.models.run import RunRecord
from nucseg.models.shipped import trained_or_shipped
from nucseg.models.version import model_version
from nucseg.reporting.lineage import flatten

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline

logger = logging.getLogger(__name__)

VARIABLE = "MLFLOW_TRACKING_URI"
STORE = "sqlite:///mlflow.db"
"""Where runs are kept if the variable is empty: a file in the working directory."""

EXPERIMENT = "nucseg"
_LONGEST = 500  # characters of a parameter's value that every version of MLflow takes
_AT_ONCE = 100  # parameters


class Tracking:
    """Logs each model that a run trained or evaluated: parameters, scores, losses, report and model.

    kedro-mlflow would need its own types of datasets in the catalog, and so MLflow for every run.
    """

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Check before hours of training that the run can be logged.

        Raises:
            ClickException: MLflow is not installed.
        """
        if VARIABLE in os.environ:
            _mlflow()

    @hook_impl(trylast=True)
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Log the models; a store that cannot be reached is an error line, since the results lie in the project."""
        if VARIABLE not in os.environ:
            return
        made = pipeline.all_outputs()
        models = [model for model in sorted(project_models()) if {f"{model}.model", f"{model}.metrics"} & made]
        reports = [_path(catalog, name) for name in sorted(made) if name == "report" or name.endswith(".report")]
        for model in models:
            try:
                _log(model, made, catalog, reports)
            except _mlflow().exceptions.MlflowException as error:
                logger.error("%s is not logged: MLflow says: %s", model, str(error).splitlines()[0])


def _log(model: str, made: set[str], catalog: CatalogProtocol, reports: list[Path]) -> None:
    mlflow = _mlflow()
    folder = _path(catalog, f"{model}.model")
    held = trained_or_shipped(folder) or folder
    run = RunRecord.load(held)
    mlflow.set_tracking_uri(os.environ[VARIABLE] or STORE)
    mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT)
    tags = {
        "kind": model,
        "version": model_version(held),
        "data_sha256": run.data_sha256 or "",
        "git_commit": run.git_commit or "",
    }
    with mlflow.start_run(run_name=folder.name, tags=tags):
        parameters = [(key, str(value)[:_LONGEST]) for key, value in flatten(run.content()["parameters"]).items()]
        for first in range(0, len(parameters), _AT_ONCE):
            mlflow.log_params(dict(parameters[first : first + _AT_ONCE]))
        for entry in run.history:
            losses = {key: value for key, value in entry.items() if key != "epoch" and value is not None}
            mlflow.log_metrics(losses, step=int(entry["epoch"] or 0))
        mlflow.log_metrics(_scores(run.validation.scores.get("overall", {}), "val"))
        if f"{model}.metrics" in made:
            mlflow.log_metrics(_scores(catalog.load(f"{model}.metrics")["overall"], "test"))
            mlflow.log_artifact(str(_path(catalog, f"{model}.metrics")), "scores")
        for report in reports:
            mlflow.log_artifact(str(report))
        mlflow.log_artifacts(str(held), "model")
    logger.info("%s is logged in MLflow (%s).", folder.name, mlflow.get_tracking_uri())


def _scores(overall: dict[str, Any], split: str) -> dict[str, float]:
    """Name scores by their split; one that is not defined is left out."""
    return {f"{split}.{key}": float(value) for key, value in overall.items() if value is not None}


def _path(catalog: CatalogProtocol, name: str) -> Path:
    return Path(catalog[name]._describe()["filepath"])


def _mlflow() -> Any:
    try:
        return import_module("mlflow")
    except ImportError as error:
        raise click.ClickException(
            f"{VARIABLE} is set, but {error.name} is not installed: pip install 'nucseg[tracking]', or unset it."
        ) from error
