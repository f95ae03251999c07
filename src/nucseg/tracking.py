"""Kedro's runs in MLflow, where MLFLOW_TRACKING_URI is set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from kedro.framework.hooks import hook_impl

from nucseg.core.errors import ConfigError
from nucseg.models.registry import project_models
from nucseg.models.shipped import trained_or_shipped
from nucseg.reporting.tracked import check_tracking, log_models

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline


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
        try:
            check_tracking()
        except ConfigError as error:
            raise click.ClickException(str(error)) from error

    @hook_impl(trylast=True)
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Log the models; see `log_models`."""
        if not check_tracking():
            return
        made = pipeline.all_outputs()
        models, metrics = {}, {}
        for model in sorted(project_models()):
            if not {f"{model}.model", f"{model}.metrics"} & made:
                continue
            folder = _path(catalog, f"{model}.model")
            models[folder.name] = trained_or_shipped(folder) or folder
            if f"{model}.metrics" in made:
                metrics[folder.name] = _path(catalog, f"{model}.metrics")
        reports = [_path(catalog, name) for name in sorted(made) if name == "report" or name.endswith(".report")]
        log_models(models, reports, metrics)


def _path(catalog: CatalogProtocol, name: str) -> Path:
    return Path(catalog[name]._describe()["filepath"])
