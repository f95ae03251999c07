"""Hooks into Kedro's life cycle: parameters are checked first, errors are readable, the scores come last."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.hooks import hook_impl

from nucseg.core.errors import NucsegError
from nucseg.params import check_parameters

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline


class ParameterChecks:
    """Stops a run with a wrong parameter before the first node, naming its file, key, value and what was allowed."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check every parameter."""
        loader = context.config_loader
        # Those of `CONFIG_LOADER_ARGS`, in the order in which they are read.
        folders = [Path(loader.conf_source) / env for env in ("base", loader.env or "local")]
        try:
            check_parameters(loader["parameters"], folders)
        except NucsegError as error:
            raise click.ClickException(str(error)) from error


class ReadableErrors:
    """Shows an error that the user can mend as one message instead of a traceback."""

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Find our own error in the chain that Kedro wrapped around it."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, NucsegError):
                raise click.ClickException(str(cause)) from error
            cause = cause.__cause__ or cause.__context__


class ScoreTable:
    """Prints the table of scores and where the report lies at the end of a run that wrote a report."""

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Print, if the report is among the outputs."""
        if "report" not in pipeline.all_outputs():
            return
        from nucseg.reporting.tables import console_table

        metrics: list[dict[str, Any]] = [
            catalog.load(name) for name in sorted(pipeline.all_inputs()) if name.endswith(".metrics")
        ]
        # Not through the logger, whose handler breaks lines at the width of the terminal, and paths with them.
        click.echo(f"\nScores on the test split:\n{console_table(metrics)}")
        click.echo(f"\nReport: {catalog['report']._describe()['filepath']}\n")
