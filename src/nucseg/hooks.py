"""Hooks into Kedro's life cycle: they check and describe a run, make errors readable and print the scores."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from kedro.framework.hooks import hook_impl
from kedro.io import DatasetError

from nucseg.config_loader import ConfigLoader
from nucseg.core.errors import NucsegError
from nucseg.datasets.config import DOWNLOADS
from nucseg.models.registry import dated_name, project_models
from nucseg.models.shipped import trained_or_shipped
from nucseg.params import InferenceConfig, check_parameters

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline

logger = logging.getLogger(__name__)

_PSEUDO_LABELLING = "pseudo_labelling"
"""The section, and in the catalog the model, of the pipeline of this name."""

_OF_TRAINING = ("training_folder", "trained", "mined", "retrained", "section")
"""What is not stored by a model's name: a training that is resumed on another day must find it."""


class ParameterChecks:
    """Stops a run with a wrong parameter before the first node, naming its file, key, value and what was allowed."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check every parameter."""
        loader = cast(ConfigLoader, context.config_loader)
        folders = [Path(loader.conf_source) / env for env in loader.environments]
        try:
            check_parameters(loader["parameters"], folders)
        except NucsegError as error:
            raise click.ClickException(str(error)) from error


class ModelNames:
    """Stores what is read and written of each model under its name, so that no training replaces another model."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Replace the datasets `<model>.…` by those of the name in `<model>.name`, or of its default.

        Raises:
            ClickException: A training would replace a model.
        """
        names = pipeline.datasets()
        for model in (*sorted(project_models()), _PSEUDO_LABELLING):
            own = sorted(name for name in names if name.startswith(f"{model}.") and not name.startswith("params:"))
            if not own:
                continue
            section = dict(catalog.load("parameters")[model])  # typed, where a node takes all of it
            folder = Path(catalog[f"{model}.model"]._describe()["filepath"])
            trained = f"{model}.model" in pipeline.all_outputs()
            name = section.get("name") or (dated_name(model, folder.parent) if trained else model)
            if trained and not section.get("replace") and trained_or_shipped(folder.with_name(name)):
                raise click.ClickException(
                    f"{model}.name is {name!r}: there is such a model already, and a training does not replace it. "
                    f"Choose another name, or, to replace it, set {model}.replace=true."
                )
            if not trained and not section.get("name"):
                _say_what_was_trained(model, folder.parent)
            for dataset in own if name != model else ():
                part = dataset.removeprefix(f"{model}.")
                if part not in _OF_TRAINING:
                    catalog[dataset] = catalog[f"{name}.{part}"]


def _say_what_was_trained(model: str, folder: Path) -> None:
    """Log which model of its kind was trained last without a name, since a run takes another one unless it is named."""
    dated = folder.glob(f"{model}-[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*/config.json")
    if last := max(dated, key=lambda path: path.stat().st_mtime, default=None):
        logger.warning(
            "%s.name is not set, so this run takes the model %s; for the one trained last: --params %s.name=%s.",
            *(model, model, model, last.parent.name),
        )


class RunSummary:
    """Logs which data and models a run uses, before its first node, and refuses a runner that does not work."""

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Log one line.

        Raises:
            ClickException: Two models would be trained or evaluated at the same time, or nodes in several processes.
        """
        runner = str(run_params["runner"])
        if "ParallelRunner" in runner:
            raise click.ClickException(
                "--runner: ParallelRunner would load TensorFlow in a process for each node; leave --runner out; "
                "the nodes already use all processor cores."
            )
        in_turn = pipeline.only_nodes_with_tags("model_training", "model_evaluation").nodes
        models = sorted(project_models().keys() & {node.namespace for node in in_turn})
        if len(models) > 1 and "ThreadRunner" in runner:
            raise click.ClickException(
                f"--runner: {' and '.join(models)} cannot run at the same time, since random seeds and precision "
                f"apply to the whole process. Leave --runner out, or choose one model with --pipelines {models[0]}."
            )
        parts: list[str] = []
        for used in (_data_used, _models_used):
            try:
                parts += used(pipeline, catalog)
            except (NucsegError, DatasetError):  # the node that reads it reports more
                logger.debug("Not all that this run uses is known yet.", exc_info=True)
        if parts:
            logger.info("This run uses %s.", "; ".join(parts))


def _data_used(pipeline: Pipeline, catalog: CatalogProtocol) -> Iterator[str]:
    names = pipeline.datasets()
    for name, kind in DOWNLOADS.items():
        section = f"{name}." if name else ""
        if f"{section}archives" in names:
            if f"{section}archives" in pipeline.all_outputs():
                parameters = catalog.load("parameters")
                for key in f"{section}data_download".split("."):
                    parameters = parameters[key]
                chosen = kind.model_validate(parameters).datasets
            else:
                chosen = catalog.load(f"{section}archives")
            yield f"the data {', '.join(chosen)}"
        elif f"{section}samples" in names:
            counts = Counter(sample.dataset for sample in catalog.load(f"{section}samples"))
            yield f"the data {', '.join(f'{name} ({count} images)' for name, count in sorted(counts.items()))}"
    if "inference_images" in names:
        yield f"the images in {catalog['inference_images']._describe()['filepath']}"


def _models_used(pipeline: Pipeline, catalog: CatalogProtocol) -> Iterator[str]:
    for model in sorted(project_models().keys() & {node.namespace for node in pipeline.nodes}):
        dataset = f"{model}.model"
        if dataset in pipeline.all_outputs():
            yield f"the model {Path(catalog[dataset]._describe()['filepath']).name}, to be trained"
        elif dataset in pipeline.inputs():
            folder = Path(catalog[dataset]._describe()["filepath"])
            yield f"the model {folder.name} in {trained_or_shipped(folder) or folder}"
        else:
            yield f"the predictions of {model}"
    if "params:inference" in pipeline.inputs():
        # Kedro has replaced the plain parameters of a node by typed ones.
        yield f"the model {InferenceConfig.model_validate(catalog.load('parameters')['inference']).model}"


class ReadableErrors:
    """Shows an error that the user can fix as one message instead of a traceback."""

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Find nucseg's own error in the chain that Kedro wrapped around it."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, NucsegError):
                raise click.ClickException(str(cause)) from error
            cause = cause.__cause__ or cause.__context__


class ScoreTable:
    """Prints the table of scores and the path of the report at the end of a run that wrote a report."""

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Print the table if the report is among the outputs."""
        report = next((name for name in pipeline.all_outputs() if name.split(".")[-1] == "report"), None)
        if report is None:
            return
        from nucseg.reporting.tables import console_table

        metrics: list[dict[str, Any]] = [
            catalog.load(name) for name in sorted(pipeline.all_inputs()) if name.endswith(".metrics")
        ]
        # Not through the logger, whose handler breaks lines, and so paths, at the width of the terminal.
        click.echo(f"\nScores on the test split:\n{console_table(metrics)}")
        click.echo(f"\nReport: {catalog[report]._describe()['filepath']}\n")
